from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0008_idempotency_keys")]

    operations = [
        migrations.AddField("execution", "pause_requested", models.BooleanField(db_default=False)),
        migrations.AddField("execution", "deadline_at", models.DateTimeField(null=True)),
        migrations.AddField("execution", "forked_from", models.UUIDField(null=True)),
        migrations.AlterField(
            "wait",
            "kind",
            models.CharField(
                choices=[
                    ("human", "Human"),
                    ("message", "Message"),
                    ("event", "Event"),
                    ("timer", "Timer"),
                    ("order", "Order"),
                ],
                max_length=10,
            ),
        ),
    ]
