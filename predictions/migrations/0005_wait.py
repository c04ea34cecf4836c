import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0004_noderun_changes"), ("workspaces", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Wait",
            fields=[
                (
                    "execution",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="predictions.execution",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("human", "Human"),
                            ("message", "Message"),
                            ("event", "Event"),
                            ("timer", "Timer"),
                        ],
                        max_length=10,
                    ),
                ),
                ("event", models.CharField(default="", max_length=255)),
                ("due_at", models.DateTimeField()),
                ("goes_on", models.BooleanField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
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
            options={
                "indexes": [
                    models.Index(fields=["due_at"], name="wait_due"),
                    models.Index(
                        condition=models.Q(("kind", "event")), fields=["workspace", "event"], name="wait_for_event"
                    ),
                ]
            },
        ),
    ]
