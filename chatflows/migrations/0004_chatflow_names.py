from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chatflows", "0003_tools")]

    operations = [
        migrations.AddField(
            model_name="chatflow", name="slug", field=models.CharField(editable=False, max_length=80, null=True)
        ),
        migrations.AddField(
            model_name="chatflow", name="object_id", field=models.CharField(editable=False, max_length=24, null=True)
        ),
    ]
