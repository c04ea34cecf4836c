"""For how many days conversations are kept."""

import django.core.validators
import django.db.models.deletion
import forjinn.core.ids
from django.db import migrations, models

from forjinn.core.auditing import audited
from forjinn.core.policies import enable_tenancy


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0002_writing'),
        ('chatflows', '0010_all_audited'),
        ('workspaces', '0008_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='Retention',
            fields=[
                ('id', models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('days', models.PositiveIntegerField(blank=True, help_text='Empty: for ever.', null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('chatflow', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='chatflows.chatflow')),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('workspace', 'chatflow'), name='retention_once', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('days', None), ('days__gte', 1), _connector='OR'), name='retention_of_a_day')],
            },
        ),
        enable_tenancy("retention_retention"),
        audited("retention_retention", resource="retention", name="days"),
    ]
