//! The settings of `[backup]`: where backups go, and how long they are kept.

use super::{Kind, Setting, setting};

pub(super) const AGE_MAX_H: Setting = setting(
    "backup.age_max_h",
    "FRAISEQL_BACKUP_AGE_MAX_H",
    Kind::Integer { min: 1, max: 8_760 },
    Some("24"),
    "How old the newest verified base backup may be when a deployment or `backup ensure` asks for one; else one is taken.",
);

pub(super) const ARCHIVE_TIMEOUT_S: Setting = setting(
    "backup.archive_timeout_s",
    "FRAISEQL_BACKUP_ARCHIVE_TIMEOUT_S",
    Kind::Integer { min: 1, max: 86_400 },
    Some("60"),
    "How old WAL of the embedded PostgreSQL may become before it is archived although its segment is not full: what a lost disk costs.",
);

pub(super) const ENCRYPTION_KEY: Setting = Setting {
    secret: true,
    ..setting(
        "backup.encryption_key",
        "FRAISEQL_BACKUP_ENCRYPTION_KEY",
        Kind::Text,
        None,
        "Private key of age, best a reference, for example secret://vault/secret/backup#key; `backup keygen` makes one. With it everything in a new repository is encrypted.",
    )
};

pub(super) const KEEP_COUNT: Setting = setting(
    "backup.keep_count",
    "FRAISEQL_BACKUP_KEEP_COUNT",
    Kind::Integer { min: 1, max: 10_000 },
    Some("2"),
    "How many base backups `backup prune` keeps at least.",
);

pub(super) const KEEP_DAYS: Setting = setting(
    "backup.keep_days",
    "FRAISEQL_BACKUP_KEEP_DAYS",
    Kind::Integer { min: 0, max: 36_500 },
    Some("7"),
    "Each moment of so many days can be restored after `backup prune`.",
);

pub(super) const PARALLEL: Setting = setting(
    "backup.parallel",
    "FRAISEQL_BACKUP_PARALLEL",
    Kind::Integer { min: 1, max: 64 },
    Some("4"),
    "How many parts and segments are moved to or from a bucket at once; each takes 16 MiB of memory.",
);

pub(super) const S3_ACCESS_KEY: Setting = Setting {
    secret: true,
    ..setting(
        "backup.s3_access_key",
        "FRAISEQL_BACKUP_S3_ACCESS_KEY",
        Kind::Text,
        None,
        "Id of the access key for the bucket. Without it the environment (AWS_ACCESS_KEY_ID) and the machine's role are asked.",
    )
};

pub(super) const S3_ENDPOINT: Setting = setting(
    "backup.s3_endpoint",
    "FRAISEQL_BACKUP_S3_ENDPOINT",
    Kind::Text,
    None,
    "URL of a server that speaks like S3. Default: AWS.",
);

pub(super) const S3_REGION: Setting = setting(
    "backup.s3_region",
    "FRAISEQL_BACKUP_S3_REGION",
    Kind::Text,
    None,
    "The region of the bucket. Default: that of the environment (AWS_REGION), else us-east-1.",
);

pub(super) const S3_SECRET_KEY: Setting = Setting {
    secret: true,
    ..setting(
        "backup.s3_secret_key",
        "FRAISEQL_BACKUP_S3_SECRET_KEY",
        Kind::Text,
        None,
        "Secret of the access key for the bucket, best a reference, for example secret://vault/secret/backup#s3.",
    )
};

pub(super) const REPOSITORY: Setting = setting(
    "backup.repository",
    "FRAISEQL_BACKUP_REPOSITORY",
    Kind::Text,
    None,
    "Folder for backups and archived WAL, best on another disk and relative to the project, or a bucket: s3://BUCKET/PREFIX. With it, `up` archives the WAL of its PostgreSQL.",
);
