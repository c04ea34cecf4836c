from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0001_initial")]

    operations = [
        migrations.AddField("execution", "attempts_before", models.SmallIntegerField(db_default=0)),
        migrations.AddField("execution", "checkpoint", models.TextField(null=True)),
        migrations.AddField("execution", "flow_state", models.JSONField(null=True)),
    ]
