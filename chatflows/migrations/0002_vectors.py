"""Documents and their embeddings, of all workspaces; and what record managers remember of other stores.

No model knows these tables, so no foreign key may lead out of them: Django could not empty the tables it leads to
(`chatflows/vectors.py` empties them with their workspace). Without the extension `vector` there is no table for embeddings, and everything
else works: nodes that need it say so.
"""

from django.db import migrations

HAS_EXTENSION = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
IS_CREATED = "SELECT 1 FROM pg_extension WHERE extname = 'vector'"

# The dimension is not fixed: collections are made by different models.
VECTORS = """
CREATE TABLE chatflows_vector (
    workspace_id uuid NOT NULL,
    collection text NOT NULL,
    id text NOT NULL,
    content text NOT NULL,
    metadata jsonb NOT NULL,
    embedding vector NOT NULL,
    PRIMARY KEY (workspace_id, collection, id)
)
"""
RECORDS = """
CREATE TABLE chatflows_vectorrecord (
    workspace_id uuid NOT NULL,
    namespace text NOT NULL,
    id text NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (workspace_id, namespace, id)
)
"""


def create_vectors(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        if not _has_extension(cursor):
            return
        cursor.execute(VECTORS)


def _has_extension(cursor):
    cursor.execute(IS_CREATED)
    if cursor.fetchone():
        return True
    cursor.execute(HAS_EXTENSION)
    if not cursor.fetchone():
        return False
    cursor.execute("SAVEPOINT extension")
    try:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except Exception:  # whatever class the driver wraps it in: this role may not, and an administrator can
        cursor.execute("ROLLBACK TO SAVEPOINT extension")
        return False
    cursor.execute("RELEASE SAVEPOINT extension")
    return True


def drop_vectors(apps, schema_editor):
    schema_editor.execute("DROP TABLE IF EXISTS chatflows_vector")


class Migration(migrations.Migration):
    dependencies = [("chatflows", "0001_initial"), ("workspaces", "0002_credential_allowed_hosts")]

    operations = [
        migrations.RunPython(create_vectors, drop_vectors),
        migrations.RunSQL(RECORDS, "DROP TABLE chatflows_vectorrecord"),
    ]
