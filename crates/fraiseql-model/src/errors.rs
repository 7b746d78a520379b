//! The registry of every error that a user can meet. Each code has a page in `docs/errors/`.
//!
//! A code is never reused and never changes its meaning.

use crate::names::nearest;

/// An error's identity.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// `FQ-AREA-NNN`.
    pub code: &'static str,
    /// What it means, in a few words.
    pub title: &'static str,
    /// The exit code of the binary when this ends a command.
    pub exit: Exit,
}

/// Exit codes of the binary. Scripts may rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// A bug or something unforeseen. Also how `schema diff` says that clients may break.
    Internal = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    /// The project's own files are wrong: schema, operations, artifact.
    Project = 3,
    /// The database cannot be reached or refuses us.
    Database = 4,
    /// The machine is in the way: port, disk, permission, missing program.
    Machine = 5,
    /// Interrupted before the work was done.
    Interrupted = 130,
}

macro_rules! registry {
    ($($name:ident = $code:literal, $exit:ident, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: ErrorCode = ErrorCode { code: $code, title: $title, exit: Exit::$exit };
        )*

        /// Every code, in the order of the reference.
        pub const ALL: &[ErrorCode] = &[$($name),*];
    };
}

registry! {
    CFG_UNKNOWN_KEY = "FQ-CFG-001", Usage, "a settings key that does not exist";
    CFG_BAD_VALUE = "FQ-CFG-002", Usage, "a setting with a value that it cannot have";
    CFG_SYNTAX = "FQ-CFG-003", Usage, "fraiseql.toml is not TOML";
    CFG_UNKNOWN_ENVIRONMENT = "FQ-CFG-004", Usage, "an environment that fraiseql.toml does not define";
    CFG_MISSING = "FQ-CFG-005", Usage, "a setting that this command needs and nobody gave";

    IO_READ = "FQ-IO-001", Machine, "a file cannot be read";
    IO_WRITE = "FQ-IO-002", Machine, "a file cannot be written";
    IO_NO_PROJECT = "FQ-IO-003", Usage, "the folder is not a project";
    IO_EXISTS = "FQ-IO-004", Usage, "a file is in the way and would be overwritten";
    IO_DISK_FULL = "FQ-IO-005", Machine, "the disk is full";

    SDL_SYNTAX = "FQ-SDL-001", Project, "the schema is not GraphQL";
    SDL_INVALID = "FQ-SDL-002", Project, "the schema breaks a rule of GraphQL";
    SDL_UNKNOWN_TYPE = "FQ-SDL-003", Project, "a type that nobody defined";
    SDL_UNKNOWN_DIRECTIVE = "FQ-SDL-004", Project, "a directive that does not exist";
    SDL_DIRECTIVE_ARGUMENT = "FQ-SDL-005", Project, "a directive with a wrong argument";
    SDL_UNKNOWN_RELATION = "FQ-SDL-006", Project, "a relation that the database does not have";
    SDL_UNKNOWN_COLUMN = "FQ-SDL-007", Project, "a column that the relation does not have";
    SDL_TYPE_MISMATCH = "FQ-SDL-008", Project, "a field whose type the column cannot give";
    SDL_NULLABLE = "FQ-SDL-009", Project, "a field marked ! where null can come";
    SDL_AMBIGUOUS_REFERENCE = "FQ-SDL-010", Project, "an object field that several foreign keys could be";
    SDL_NO_REFERENCE = "FQ-SDL-011", Project, "an object field without a foreign key to follow";
    SDL_NO_KEY = "FQ-SDL-012", Project, "an operation that needs a unique key";
    SDL_UNKNOWN_FUNCTION = "FQ-SDL-013", Project, "a function that the database does not have, or several of that name";
    SDL_NAME_TAKEN = "FQ-SDL-014", Project, "a name that is generated already";
    SDL_NOT_WRITABLE = "FQ-SDL-015", Project, "a relation or column that cannot be written";
    SDL_MISSING_INDEX = "FQ-SDL-016", Project, "a foreign key without an index";
    SDL_UNSUPPORTED = "FQ-SDL-017", Project, "GraphQL that this version does not compile";
    SDL_ENUM_MISMATCH = "FQ-SDL-018", Project, "an enum whose values are not the database's";
    SDL_ARGUMENT = "FQ-SDL-019", Project, "an argument that the field cannot use";
    SDL_VOLATILE_FUNCTION = "FQ-SDL-020", Project, "a query that calls a function that may write";

    OPS_SYNTAX = "FQ-OPS-001", Project, "an operation file is not GraphQL";
    OPS_INVALID = "FQ-OPS-002", Project, "an operation that does not fit the schema";
    OPS_SHAPE = "FQ-OPS-003", Project, "a file that does not hold exactly one named operation";
    OPS_NAME_TAKEN = "FQ-OPS-004", Project, "an operation or fragment whose name is taken";

    ART_MALFORMED = "FQ-ART-001", Project, "the artifact is not JSON or is cut short";
    ART_FORMAT = "FQ-ART-002", Project, "the artifact is of another version";
    ART_DIGEST = "FQ-ART-003", Project, "the artifact was changed after it was compiled";
    ART_DATABASE = "FQ-ART-004", Database, "the database lacks what the artifact reads";

    CAT_SNAPSHOT = "FQ-CAT-001", Project, "the catalog snapshot cannot be read";
    CAT_NOTHING = "FQ-CAT-002", Database, "the database has no relation that this role can read";

    PG_URL = "FQ-PG-001", Usage, "the connection string cannot be understood";
    PG_CONNECT = "FQ-PG-002", Database, "the database cannot be reached";
    PG_AUTH = "FQ-PG-003", Database, "the database refuses the user or the password";
    PG_NO_DATABASE = "FQ-PG-004", Database, "the server has no such database";
    PG_TLS = "FQ-PG-005", Database, "no TLS with the database as asked for";
    PG_TOO_OLD = "FQ-PG-006", Database, "the server is older than PostgreSQL 10";
    PG_QUERY = "FQ-PG-007", Database, "the database refused a statement";
    PG_NO_SERVER = "FQ-PG-008", Machine, "no PostgreSQL server programs were found";
    PG_INITDB = "FQ-PG-009", Machine, "initdb failed";
    PG_START = "FQ-PG-010", Machine, "the embedded PostgreSQL does not start";
    PG_DATA_IN_USE = "FQ-PG-011", Machine, "another process uses the data directory";
    PG_DATA_VERSION = "FQ-PG-012", Machine, "the data directory is of another major version";
    PG_NO_USER = "FQ-PG-013", Machine, "there is no unprivileged user to run PostgreSQL as";
    PG_CONTRACT = "FQ-PG-014", Database, "behind a pooler the role lacks settings";

    DIF_BREAKING = "FQ-DIF-001", Internal, "the new schema may break clients of the old one";

    EXP_OPERATION = "FQ-EXP-001", Project, "an operation that the schema refuses";
    EXP_ANALYZE = "FQ-EXP-002", Usage, "a mutation would have to run to be measured";

    IMP_UNREADABLE = "FQ-IMP-001", Project, "the file is not an authoring file of version 2.0.0";

    INT_ENDPOINT = "FQ-INT-001", Machine, "a GraphQL server does not answer or does not tell its schema";
    INT_RESULT = "FQ-INT-002", Project, "a file is not the result of an introspection";

    USE_MISSING = "FQ-USE-001", Database, "the database has no table for usage";

    AUD_MISSING = "FQ-AUD-001", Database, "the database has no table for the audit log that the service may write";
    AUD_MUTABLE = "FQ-AUD-002", Database, "the service may change what the audit log says";

    MIG_UNSAFE = "FQ-MIG-001", Project, "a migration that would keep clients waiting, or fail";
    MIG_SQL = "FQ-MIG-002", Project, "a migration that is not SQL";
    MIG_VERSION = "FQ-MIG-003", Usage, "a version of PostgreSQL whose locks are not known";
    MIG_NAME = "FQ-MIG-004", Usage, "a name that a migration cannot have";
    MIG_NONE = "FQ-MIG-005", Usage, "there are no migrations";
    MIG_REFUSED = "FQ-MIG-006", Project, "a statement that cannot run in its section";
    MIG_FAILED = "FQ-MIG-007", Database, "a statement of a migration has failed";
    MIG_DRIFT = "FQ-MIG-008", Project, "a migration that has run was changed afterwards";
    MIG_BUSY = "FQ-MIG-009", Database, "another runner is at work";
    MIG_BLOCKED = "FQ-MIG-010", Database, "a lock that was not to be had";
    MIG_INDEX = "FQ-MIG-011", Database, "an invalid index that is not ours";
    MIG_UNDO = "FQ-MIG-012", Usage, "there is nothing to take back";
    MIG_GUARDED = "FQ-MIG-013", Project, "a contract that a release still depends on";

    SEC_PLAIN = "FQ-SEC-001", Usage, "a secret stands where others can read it";
    SEC_AWAY = "FQ-SEC-002", Machine, "a store of secrets cannot be reached";
    SEC_SEALED = "FQ-SEC-003", Machine, "Vault is sealed";
    SEC_REFUSED = "FQ-SEC-004", Machine, "a store of secrets refuses us";
    SEC_MISSING = "FQ-SEC-005", Usage, "there is no such secret, or it has no such field";
    SEC_VALUE = "FQ-SEC-006", Usage, "a secret that cannot be used for what it is for";
    SEC_COMMAND = "FQ-SEC-007", Machine, "the command for secrets failed";

    REL_UNKNOWN = "FQ-REL-001", Usage, "no release of that name";
    REL_CHANGED = "FQ-REL-002", Machine, "a release was changed after it was made";
    REL_EVIDENCE = "FQ-REL-003", Usage, "a report that proves nothing";
    REL_SECRET = "FQ-REL-004", Usage, "a secret would become part of a release";

    AGT_AWAY = "FQ-AGT-001", Machine, "no agent of the project runs";

    INC_UNKNOWN = "FQ-INC-001", Usage, "no incident of that number";
    INC_TEXT = "FQ-INC-002", Usage, "a text that an incident cannot have";
    INC_OVER = "FQ-INC-003", Usage, "the incident is resolved already";
    INC_FILE = "FQ-INC-004", Machine, "what is known of an incident cannot be read or written";
    INC_UNREACHED = "FQ-INC-005", Machine, "people on call were not reached";

    PRE_FAILED = "FQ-PRE-001", Project, "a check before the deployment fails";
    PRE_CHECK = "FQ-PRE-002", Usage, "no check of that name";
    PRE_WAIVER = "FQ-PRE-003", Usage, "a waiver that cannot be given";
    PRE_FILE = "FQ-PRE-004", Machine, "the waivers cannot be read";

    RBK_STEP = "FQ-RBK-001", Project, "a step of the runbook failed";
    RBK_NAME = "FQ-RBK-002", Usage, "a step that cannot be written down";
    RBK_FILE = "FQ-RBK-003", Machine, "the record of a runbook cannot be read or written";

    CAP_UNMEASURED = "FQ-CAP-001", Usage, "a plan without a measurement";

    PXY_CONTRADICTION = "FQ-PXY-001", Internal, "weights that contradict themselves";
    PXY_STALE = "FQ-PXY-002", Internal, "weights older than those that hold";
    PXY_NOTHING_BEFORE = "FQ-PXY-003", Usage, "no earlier release to roll back to";
    PXY_DAMAGED = "FQ-PXY-004", Machine, "what the proxy has on disk is damaged";
    PXY_AWAY = "FQ-PXY-005", Machine, "no proxy of the project runs";
    PXY_REPLACEMENT = "FQ-PXY-006", Machine, "the program that was to take the proxy's place does not serve";
    PXY_DRIVER_LACKS = "FQ-PXY-007", Usage, "a plan that the one who shares out traffic cannot carry out";
    PXY_HAPROXY = "FQ-PXY-008", Machine, "HAProxy does not do what it is told";

    FLO_WRITE = "FQ-FLO-001", Machine, "the journal cannot be read or written";
    FLO_IN_USE = "FQ-FLO-002", Machine, "another agent works on the same state";
    FLO_NO_ROOM = "FQ-FLO-003", Machine, "no room to write down what comes of a step";
    FLO_NOT_LOCAL = "FQ-FLO-004", Machine, "the state is on a network file system";
    FLO_MALFORMED = "FQ-FLO-005", Machine, "the journal is damaged, or of a newer version";

    DEP_BUSY = "FQ-DEP-001", Usage, "a rollout is under way";
    DEP_STABLE = "FQ-DEP-002", Usage, "the release is stable already";
    DEP_AGAIN = "FQ-DEP-003", Usage, "the release was rolled back before";
    DEP_POLICY = "FQ-DEP-004", Usage, "a rollout that contradicts itself";
    DEP_NOTHING = "FQ-DEP-005", Usage, "no rollout is under way";
    DEP_FAILED = "FQ-DEP-006", Project, "the release was rolled back";
    DEP_UNTRIED = "FQ-DEP-007", Usage, "the release was never stable in the environment before";
    DEP_UNAPPROVED = "FQ-DEP-008", Usage, "the release was not approved";

    ROL_TOO_MIGHTY = "FQ-ROL-001", Database, "the service logs in with a role that may do too much";
    AUTH_REQUIRED = "FQ-AUTH-001", Usage, "a request without a token where one is needed";
    AUTH_MALFORMED = "FQ-AUTH-002", Usage, "a token that is none";
    AUTH_OVERSIZE = "FQ-AUTH-003", Usage, "a token that is too large";
    AUTH_UNSIGNED = "FQ-AUTH-004", Usage, "a token without a signature";
    AUTH_ALGORITHM = "FQ-AUTH-005", Usage, "a token signed by an algorithm that is not allowed";
    AUTH_ISSUER = "FQ-AUTH-006", Usage, "a token of an unknown issuer";
    AUTH_KEY = "FQ-AUTH-007", Usage, "a token signed with a key that the issuer does not have";
    AUTH_SIGNATURE = "FQ-AUTH-008", Usage, "a forged token";
    AUTH_EXPIRED = "FQ-AUTH-009", Usage, "a token that has expired";
    AUTH_EARLY = "FQ-AUTH-010", Usage, "a token that is not valid yet";
    AUTH_AUDIENCE = "FQ-AUTH-011", Usage, "a token for somebody else";
    AUTH_INACTIVE = "FQ-AUTH-012", Usage, "a token that its issuer does not hold for valid";
    AUTH_PROVIDER = "FQ-AUTH-013", Usage, "an issuer that does not answer";
    AUTH_API_KEY = "FQ-AUTH-014", Usage, "an API key that is not accepted";
    AUTH_CLAIMS = "FQ-AUTH-015", Usage, "a token whose claims cannot be used";
    AUTH_KEYS_TABLE = "FQ-AUTH-016", Database, "the database has no table for API keys";
    AUTH_KEY_UNKNOWN = "FQ-AUTH-017", Usage, "no API key has this id";

    BAK_REPOSITORY = "FQ-BAK-001", Usage, "there is no repository of backups, or it cannot be read";
    BAK_OTHER_CLUSTER = "FQ-BAK-002", Usage, "the repository belongs to another PostgreSQL cluster";
    BAK_CONFLICT = "FQ-BAK-003", Machine, "WAL of that name was archived with other content";
    BAK_DAMAGED = "FQ-BAK-004", Machine, "a backup or archived WAL is damaged";
    BAK_GAP = "FQ-BAK-005", Machine, "archived WAL is missing";
    BAK_ARCHIVING = "FQ-BAK-006", Database, "the server does not archive its WAL into the repository";
    BAK_PROGRAM = "FQ-BAK-007", Machine, "a program of PostgreSQL is missing or failed";
    BAK_NO_BACKUP = "FQ-BAK-008", Usage, "no verified backup ended before the target";
    BAK_NOT_REACHED = "FQ-BAK-009", Usage, "the archived WAL does not reach the target";
    BAK_TARGET = "FQ-BAK-010", Usage, "a target that cannot be understood";
    BAK_BUSY = "FQ-BAK-011", Machine, "another command works on the repository";
    BAK_UNFINISHED = "FQ-BAK-012", Machine, "a restore was interrupted and not finished";
    BAK_VERIFY = "FQ-BAK-013", Machine, "the restored database failed a check";
    BAK_POINT = "FQ-BAK-014", Usage, "a restore point that is not there, or is there already";
    BAK_RUNNING = "FQ-BAK-015", Machine, "the database that is to be replaced still runs";
    BAK_UNSUPPORTED = "FQ-BAK-016", Usage, "a server that cannot be backed up in this way";
    BAK_STORAGE = "FQ-BAK-017", Machine, "the bucket of the backups does not answer, or refuses";
    BAK_KEY = "FQ-BAK-018", Usage, "the encryption key of the backups is missing or another one";

    LIM_QUEUE = "FQ-LIM-001", Database, "more is asked at the same time than the database can do";

    NET_PORT_TAKEN = "FQ-NET-001", Machine, "the port is taken";
    NET_BIND = "FQ-NET-002", Machine, "the address cannot be bound";
    NET_TLS = "FQ-NET-003", Machine, "certificate or key cannot be used";
    NET_ACTIVATION = "FQ-NET-004", Machine, "the socket that was handed over cannot be used";
    NET_CONTROL = "FQ-NET-005", Machine, "the server's control socket cannot be used";
    NET_UNHEALTHY = "FQ-NET-006", Machine, "the server does not answer, or is not well";

    RUN_ALREADY = "FQ-RUN-001", Machine, "the project is running already";
    RUN_SEED = "FQ-RUN-002", Project, "the project's data cannot be loaded";
    RUN_INTERRUPTED = "FQ-RUN-004", Interrupted, "interrupted before the work was done";
    RUN_READ_ONLY = "FQ-RUN-005", Machine, "the service is read-only for now";
    RUN_MAINTENANCE = "FQ-RUN-006", Machine, "the service is being worked on";
    RUN_SWITCHING = "FQ-RUN-007", Machine, "the mode holds, but requests that began before still write";
    RUN_INTERNAL = "FQ-RUN-003", Internal, "a bug in fraiseql";
}

/// Returns the registered code of that name, for `fraiseql explain FQ-...`.
pub fn find(code: &str) -> Option<&'static ErrorCode> {
    ALL.iter().find(|error| error.code.eq_ignore_ascii_case(code))
}

/// Returns the code that is most likely meant.
pub fn suggest(code: &str) -> Option<&'static str> {
    nearest(code, ALL.iter().map(|error| error.code))
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_code_stands_twice() {
        let codes: std::collections::BTreeSet<_> = super::ALL.iter().map(|error| error.code).collect();
        assert_eq!(codes.len(), super::ALL.len());
    }
}
