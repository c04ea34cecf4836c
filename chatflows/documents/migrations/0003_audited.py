"""Who changes document stores is told, and none of the passwords that their parts may have."""

from django.db import migrations

from forjinn.core.auditing import audited, audited_through


class Migration(migrations.Migration):
    dependencies = [("documents", "0002_tenancy"), ("audit", "0002_writing")]

    operations = [
        audited(
            "documents_documentstore",
            resource="document-stores",
            secrets=["embedding", "vector_store", "record_manager"],
            ignores=["upserted_at"],
        ),
        audited_through(
            "documents_documentstore",
            table="documents_loader",
            column="store_id",
            resource="loaders",
            secrets=["config", "splitter_config"],
            ignores=["status", "status_at", "total_chunks", "total_chars"],
        ),
    ]
