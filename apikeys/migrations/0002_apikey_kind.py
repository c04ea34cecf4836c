from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="kind",
            field=models.CharField(
                choices=[("workspace", "Workspace"), ("deployment", "Deployment")],
                default="workspace",
                editable=False,
                max_length=10,
            ),
        ),
    ]
