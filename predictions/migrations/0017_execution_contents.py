"""Whether what was asked and said in a run is kept."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('chatflows', '0010_all_audited'),
        ('predictions', '0016_end_users'),
        ('workspaces', '0009_end_user_secrets'),
    ]

    operations = [
        migrations.AddField(
            model_name='execution',
            name='contents',
            field=models.CharField(choices=[('kept', 'Kept'), ('passing', 'Passing'), ('gone', 'Gone')], db_default='kept', default='kept', max_length=8),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('contents', 'passing')), fields=['finished_at'], name='execution_passing'),
        ),
    ]
