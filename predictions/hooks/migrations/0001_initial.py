import django.db.models.deletion
import django.db.models.functions.datetime
import forjinn.core.ids
from django.db import migrations, models


# One that Django does not know of, for what Django cannot say: the database deletes a delivery's log along with it.
LOG = """
ALTER TABLE hooks_hookattempt ADD CONSTRAINT hook_attempt_of_delivery
FOREIGN KEY (delivery_id) REFERENCES hooks_hookdelivery (id) ON DELETE CASCADE
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("chatflows", "0007_deployments"),
        ("predictions", "0014_idempotencykey_answer"),
        ("workspaces", "0002_credential_allowed_hosts"),
    ]

    operations = [
        migrations.CreateModel(
            name="HookDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("url", models.TextField(default="")),
                ("secret", models.TextField(default="")),
                ("event", models.CharField(max_length=20)),
                ("payload", models.JSONField()),
                ("attempts", models.SmallIntegerField(default=0)),
                ("attempts_before", models.SmallIntegerField(default=0)),
                ("next_try_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("gave_up_at", models.DateTimeField(null=True)),
                ("last_status", models.SmallIntegerField(null=True)),
                ("last_error", models.TextField(default="")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "execution",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="predictions.execution",
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
            options={
                "verbose_name": "hook delivery",
                "verbose_name_plural": "hook deliveries",
            },
        ),
        migrations.CreateModel(
            name="HookAttempt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.SmallIntegerField()),
                ("began_at", models.DateTimeField()),
                ("duration_ms", models.FloatField()),
                ("status", models.SmallIntegerField(null=True)),
                ("error", models.TextField(default="")),
                ("answer", models.TextField(default="")),
                (
                    "delivery",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="log",
                        to="hooks.hookdelivery",
                    ),
                ),
            ],
            options={
                "verbose_name": "hook attempt",
            },
        ),
        migrations.CreateModel(
            name="HookSubscription",
            fields=[
                (
                    "id",
                    models.UUIDField(default=forjinn.core.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=150)),
                ("url", models.CharField(max_length=2048)),
                ("events", models.JSONField()),
                ("secret", models.TextField(editable=False)),
                ("enabled", models.BooleanField(default=True)),
                ("paused_at", models.DateTimeField(editable=False, null=True)),
                ("paused_reason", models.TextField(default="", editable=False)),
                ("failures", models.IntegerField(default=0, editable=False)),
                ("failing_since", models.DateTimeField(editable=False, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "chatflow",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="chatflows.chatflow",
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
            options={
                "verbose_name": "hook subscription",
            },
        ),
        migrations.AddField(
            model_name="hookdelivery",
            name="subscription",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="hooks.hooksubscription",
            ),
        ),
        migrations.AddIndex(
            model_name="hooksubscription",
            index=models.Index(fields=["workspace", "-id"], name="hook_subscription_by_workspace"),
        ),
        migrations.AddIndex(
            model_name="hookdelivery",
            index=models.Index(
                condition=models.Q(("next_try_at__isnull", False)), fields=["next_try_at"], name="hook_delivery_due"
            ),
        ),
        migrations.AddIndex(
            model_name="hookdelivery",
            index=models.Index(fields=["subscription", "-id"], name="hook_delivery_by_subscription"),
        ),
        migrations.AddIndex(
            model_name="hookdelivery",
            index=models.Index(fields=["workspace", "-id"], name="hook_delivery_by_workspace"),
        ),
        migrations.RunSQL(LOG, "ALTER TABLE hooks_hookattempt DROP CONSTRAINT hook_attempt_of_delivery"),
    ]
