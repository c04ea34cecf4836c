"""From within a workspace only its own document stores are there."""

from django.db import migrations

from forjinn.core.policies import enable_tenancy, enable_tenancy_through


class Migration(migrations.Migration):
    dependencies = [("documents", "0001_initial"), ("workspaces", "0004_tenancy")]

    operations = [
        enable_tenancy("documents_documentstore"),
        enable_tenancy_through("documents_documentstore", table="documents_loader", column="store_id"),
        enable_tenancy_through("documents_loader", table="documents_loaderfile", column="loader_id"),
        enable_tenancy_through("documents_loader", table="documents_chunk", column="loader_id"),
    ]
