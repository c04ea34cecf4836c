"""What things in a workspace may use."""

import django.core.validators
import django.db.models.deletion
import forjinn.core.ids
from django.db import migrations, models

from forjinn.core.policies import enable_tenancy


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('workspaces', '0004_tenancy'),
    ]

    operations = [
        migrations.CreateModel(
            name='Limit',
            fields=[
                ('id', models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('workspace', 'Workspace'), ('key', 'Key'), ('flow', 'Flow'), ('address', 'Address')], max_length=10)),
                ('target_id', models.UUIDField(blank=True, help_text='The key or the flow; empty: each of them.', null=True)),
                ('calls_a_minute', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('runs_at_once', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('tokens_a_month', models.PositiveBigIntegerField(blank=True, null=True)),
                ('usd_a_month', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)])),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('workspace', 'kind', 'target_id'), name='limit_once', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('target_id', None), ('kind__in', ['key', 'flow']), _connector='OR'), name='limit_has_its_target')],
            },
        ),
        enable_tenancy("limits_limit"),
    ]
