from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0002_credential_allowed_hosts")]

    operations = [
        migrations.AddField(
            "credential",
            "fulfillment",
            models.CharField(
                choices=[("stored", "Stored"), ("caller", "Caller")],
                db_default="stored",
                default="stored",
                help_text="caller: the secret comes with each run, in connections under the slug, and is not kept.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            "credential",
            "slug",
            models.SlugField(
                blank=True,
                db_default="",
                db_index=False,
                help_text="How callers name it, if they fulfill it.",
                max_length=100,
            ),
        ),
        migrations.AlterField("credential", "sealed", models.TextField(blank=True, editable=False)),
        migrations.AddConstraint(
            "credential",
            models.UniqueConstraint(
                "workspace", "slug", condition=~models.Q(slug=""), name="credential_slug_once"
            ),
        ),
        migrations.AddConstraint(
            "credential",
            models.CheckConstraint(
                condition=models.Q(("fulfillment", "stored"), models.Q(("slug", ""), _negated=True), _connector="OR"),
                name="caller_credential_has_slug",
            ),
        ),
    ]
