from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0003_execution_session_indexes")]

    operations = [migrations.AddField("noderun", "changes", models.TextField(null=True))]
