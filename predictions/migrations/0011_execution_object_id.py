from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("predictions", "0010_execution_deadlines")]

    operations = [
        migrations.AddField("execution", "object_id", models.CharField(max_length=24, null=True)),
        migrations.AddField("noderun", "created_at", models.DateTimeField(db_default=Now())),
    ]
