"""What was used of budgets."""

import django.db.models.deletion
from django.db import migrations, models

from forjinn.core.policies import enable_tenancy


class Migration(migrations.Migration):

    dependencies = [
        ('limits', '0002_audited'),
        ('workspaces', '0006_people_audited'),
    ]

    operations = [
        migrations.CreateModel(
            name='Spending',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('workspace', 'Workspace'), ('key', 'Key'), ('flow', 'Flow'), ('address', 'Address')], max_length=10)),
                ('target_id', models.UUIDField()),
                ('month', models.DateField()),
                ('slot', models.SmallIntegerField()),
                ('tokens', models.BigIntegerField(default=0)),
                ('nano_usd', models.BigIntegerField(default=0)),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('workspace', 'month', 'kind', 'target_id', 'slot'), name='spending_once')],
            },
        ),
        enable_tenancy("limits_spending"),
    ]
