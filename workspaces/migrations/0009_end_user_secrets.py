"""Secrets that pages name end users under."""

import django.db.models.deletion
import forjinn.core.ids
from django.db import migrations, models

from forjinn.core.auditing import audited
from forjinn.core.policies import enable_tenancy


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0008_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='EndUserSecret',
            fields=[
                ('id', models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('sealed', models.TextField(editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField(editable=False, null=True)),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', '-created_at'], name='end_user_secret_by_age')],
            },
        ),
        enable_tenancy("workspaces_endusersecret"),
        audited("workspaces_endusersecret", resource="end-users", name="id", secrets=["sealed"]),
    ]
