from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0013_connections_end_with_runs")]

    operations = [migrations.AddField("idempotencykey", "answer", models.JSONField(null=True))]
