import django.db.models.deletion
from django.db import migrations, models

import forjinn.core.ids


class Migration(migrations.Migration):
    dependencies = [
        ("apikeys", "0002_apikey_kind"),
        ("chatflows", "0006_chatflow_names_once"),
        ("workspaces", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Deployment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "apikey",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, to="apikeys.apikey"),
                ),
                (
                    "chatflow",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="chatflows.chatflow"),
                ),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="chatflows.chatflowversion",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={"abstract": False},
        ),
    ]
