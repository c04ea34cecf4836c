from django.db import migrations, models

import chatflows.models


class Migration(migrations.Migration):
    dependencies = [("chatflows", "0005_name_chatflows")]

    operations = [
        migrations.AlterField(
            model_name="chatflow", name="slug", field=models.CharField(editable=False, max_length=80)
        ),
        migrations.AlterField(
            model_name="chatflow",
            name="object_id",
            field=models.CharField(
                default=chatflows.models.new_object_id, editable=False, max_length=24, unique=True
            ),
        ),
        migrations.AddConstraint(
            model_name="chatflow",
            constraint=models.UniqueConstraint(fields=["workspace", "slug"], name="chatflow_slug_once"),
        ),
    ]
