import django.db.models.deletion
import django.db.models.functions.datetime
import forjinn.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('chatflows', '0007_deployments'),
        ('predictions', '0008_idempotency_keys'),
        ('workspaces', '0002_credential_allowed_hosts'),
    ]

    operations = [
        migrations.CreateModel(
            name='Trigger',
            fields=[
                ('id', models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('is_of_flow', models.BooleanField(default=False, editable=False)),
                ('node_id', models.CharField(max_length=255)),
                ('name', models.CharField(max_length=255)),
                ('kind', models.CharField(choices=[('cron', 'Cron'), ('webhook', 'Webhook')], max_length=10)),
                ('enabled', models.BooleanField(default=True)),
                ('cron_expression', models.CharField(blank=True, max_length=255)),
                ('timezone', models.CharField(default='UTC', max_length=64)),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
                ('digest', models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ('sealed', models.TextField(blank=True, editable=False)),
                ('platform', models.CharField(blank=True, max_length=50)),
                ('input_mapping', models.JSONField(blank=True, default=dict)),
                ('message', models.TextField(blank=True)),
                ('timeout_s', models.PositiveIntegerField(default=300)),
                ('max_executions', models.PositiveIntegerField(blank=True, null=True)),
                ('execution_count', models.PositiveIntegerField(default=0, editable=False)),
                ('last_executed', models.DateTimeField(editable=False, null=True)),
                ('next_execution', models.DateTimeField(editable=False, null=True)),
                ('notification_email', models.EmailField(blank=True, max_length=254)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('chatflow', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='triggers', to='chatflows.chatflow')),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
        ),
        migrations.CreateModel(
            name='Firing',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('scheduled_at', models.DateTimeField(null=True)),
                ('execution', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='firing', to='predictions.execution')),
                ('trigger', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='firings', to='triggers.trigger')),
            ],
        ),
        migrations.CreateModel(
            name='Callback',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('tries', models.SmallIntegerField(default=0)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('execution', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='callback', to='predictions.execution')),
            ],
            options={
                'indexes': [models.Index(fields=['due_at'], name='callback_due')],
            },
        ),
        migrations.AddIndex(
            model_name='trigger',
            index=models.Index(fields=['workspace', '-id'], name='trigger_by_workspace'),
        ),
        migrations.AddIndex(
            model_name='trigger',
            index=models.Index(condition=models.Q(('enabled', True)), fields=['next_execution'], name='trigger_due'),
        ),
        migrations.AddConstraint(
            model_name='trigger',
            constraint=models.UniqueConstraint(condition=models.Q(('is_of_flow', True)), fields=('chatflow',), name='trigger_of_flow_once'),
        ),
        migrations.AddIndex(
            model_name='firing',
            index=models.Index(fields=['trigger', '-id'], name='firing_by_trigger'),
        ),
        migrations.AddConstraint(
            model_name='firing',
            constraint=models.UniqueConstraint(fields=('trigger', 'scheduled_at'), name='firing_once_a_tick'),
        ),
    ]
