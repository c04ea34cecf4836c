"""Roles of one's own, invitations, service accounts, archived workspaces; addresses that people sign in with."""

import django.contrib.postgres.fields
import django.db.models.deletion
import forjinn.core.ids
from django.db import migrations, models

from forjinn.core.auditing import audited, audited_through
from forjinn.core.policies import enable_tenancy, enable_tenancy_through


def vouch_for_all(apps, schema_editor):
    """Whoever has an account was given it by an operator."""
    addresses = apps.get_model("account", "EmailAddress")
    for user in apps.get_model("workspaces", "User").objects.iterator():
        addresses.objects.get_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})


class Migration(migrations.Migration):

    dependencies = [
        ("account", "0001_initial"),
        ("audit", "0002_writing"),
        ('workspaces', "0007_key_check"),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='is_service',
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name='workspace',
            name='archived_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='membership',
            name='role',
            field=models.CharField(blank=True, choices=[('owner', 'Owner'), ('admin', 'Admin'), ('editor', 'Editor'), ('viewer', 'Viewer')], default='viewer', max_length=10),
        ),
        migrations.CreateModel(
            name='CustomRole',
            fields=[
                ('id', models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('description', models.CharField(blank=True, max_length=500)),
                ('permissions', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=60), default=list, size=None)),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
        ),
        migrations.AddField(
            model_name="membership",
            name="role_ids",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(), blank=True, default=list, size=None
            ),
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('email', models.EmailField(max_length=254)),
                ('role', models.CharField(choices=[('owner', 'Owner'), ('admin', 'Admin'), ('editor', 'Editor'), ('viewer', 'Viewer')], default='viewer', max_length=10)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('invited_by', models.CharField(editable=False, max_length=254)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField()),
                ('accepted_at', models.DateTimeField(editable=False, null=True)),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
        ),
        migrations.AddConstraint(
            model_name='customrole',
            constraint=models.UniqueConstraint(fields=('workspace', 'name'), name='role_name_once'),
        ),
        migrations.AddConstraint(
            model_name='invitation',
            constraint=models.UniqueConstraint(fields=('workspace', 'email'), name='invitation_once'),
        ),
        migrations.AddField(
            model_name="membership",
            name="suspended_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        enable_tenancy("workspaces_customrole"),
        enable_tenancy("workspaces_invitation"),
        audited("workspaces_customrole", resource="roles"),
        audited("workspaces_invitation", resource="invitations", name="email", secrets=["digest"]),
        migrations.RunPython(vouch_for_all, migrations.RunPython.noop),
    ]
