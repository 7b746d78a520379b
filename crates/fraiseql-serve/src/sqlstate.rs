//! SQLSTATEs become codes and messages for clients. PostgreSQL's own words do not pass, save for RAISE.

use fraiseql_model::response::Code;

/// What a client is told of an SQL error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The stable code.
    pub(crate) code: Code,
    /// What to say; for [`Code::Raised`] the author's own message is said instead.
    pub(crate) message: &'static str,
}

/// From the beginning of a SQLSTATE (appendix A of PostgreSQL's manual) to what is told; the first
/// row that fits decides, so single states stand before their class.
const TABLE: &[(&str, Code, &str)] = &[
    ("23505", Code::UniqueViolation, "a row with these values exists already"),
    ("23503", Code::ForeignKeyViolation, "a row that is referred to does not exist, or is still referred to"),
    ("23502", Code::NotNullViolation, "a value is required and was null"),
    ("23514", Code::CheckViolation, "a value breaks a rule of its table"),
    ("23P01", Code::ExclusionViolation, "a row that excludes this one exists already"),
    ("23", Code::CheckViolation, "a value breaks a rule of its table"),
    ("44000", Code::CheckViolation, "a row would not be visible in the view that it is written through"),
    ("21000", Code::BadUserInput, "one row would be written twice, or several rows came where one may"),
    ("22012", Code::Internal, INTERNAL),
    ("22P03", Code::Internal, INTERNAL),
    ("22P04", Code::Internal, INTERNAL),
    ("22001", Code::BadUserInput, "a text is too long"),
    ("22003", Code::BadUserInput, "a number is out of range"),
    ("22007", Code::BadUserInput, "a date or time does not have the form that its type asks for"),
    ("22008", Code::BadUserInput, "a date or time is out of range"),
    ("22009", Code::BadUserInput, "a time zone is out of range"),
    ("22015", Code::BadUserInput, "an interval is out of range"),
    ("22019", Code::BadUserInput, "a pattern is not valid"),
    ("22025", Code::BadUserInput, "a pattern is not valid"),
    ("2201B", Code::BadUserInput, "a regular expression is not valid"),
    ("2201W", Code::BadUserInput, "a limit must not be negative"),
    ("2201X", Code::BadUserInput, "an offset must not be negative"),
    ("22021", Code::BadUserInput, "a text holds a character that the database cannot store"),
    ("22P05", Code::BadUserInput, "a text holds a character that the database cannot store"),
    ("22P02", Code::BadUserInput, "a value does not have the form that its type asks for"),
    ("22", Code::BadUserInput, "a value cannot be used"),
    ("P0001", Code::Raised, "the database refused the request"),
    ("42501", Code::PermissionDenied, "the database role may not do this"),
    ("40001", Code::Conflict, CONFLICT),
    ("40P01", Code::Conflict, CONFLICT),
    ("55P03", Code::Conflict, CONFLICT),
    ("57014", Code::Timeout, TIMEOUT),
    ("25006", Code::ReadOnly, "writing is switched off"),
    ("54", Code::LimitExceeded, "the request is larger than the database can work on"),
    ("08", Code::Unavailable, UNAVAILABLE),
    ("53", Code::Unavailable, UNAVAILABLE),
    ("57P", Code::Unavailable, UNAVAILABLE),
];

/// What is said of a fault of ours.
pub(crate) const INTERNAL: &str = "the request failed inside the server";
const CONFLICT: &str = "another transaction was in the way: try again";

/// What is said when the database cannot be reached.
pub(crate) const UNAVAILABLE: &str = "the database is not available: try again later";
/// What is said when a request takes longer than it may.
pub(crate) const TIMEOUT: &str = "the request took longer than it may";

/// Returns what a client is told of an error with this SQLSTATE.
pub(crate) fn told(sqlstate: &str) -> Told {
    let row = TABLE.iter().find(|(begin, _, _)| sqlstate.starts_with(begin));
    match row {
        Some((_, code, message)) => Told { code: *code, message },
        None => Told { code: Code::Internal, message: INTERNAL },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sqlstate: &str, code: Code) {
        assert_eq!(told(sqlstate).code, code, "{sqlstate}");
    }

    #[test]
    fn every_row_decides_for_its_state() {
        for (begin, code, message) in TABLE {
            let sqlstate = format!("{begin:X<5}");
            assert_eq!(told(&sqlstate), Told { code: *code, message }, "{begin} is hidden by an earlier row");
        }
    }

    #[test]
    fn states_have_stable_codes() {
        check("23505", Code::UniqueViolation);
        check("23503", Code::ForeignKeyViolation);
        check("23502", Code::NotNullViolation);
        check("23514", Code::CheckViolation);
        check("23P01", Code::ExclusionViolation);
        check("23001", Code::CheckViolation);
        check("44000", Code::CheckViolation);
        for input in
            ["22P02", "22003", "22007", "22008", "22001", "2201B", "22021", "22P05", "22025", "22023"]
        {
            check(input, Code::BadUserInput);
        }
        check("2201W", Code::BadUserInput);
        check("22012", Code::Internal);
        check("P0001", Code::Raised);
        check("P0002", Code::Internal);
        check("42501", Code::PermissionDenied);
        for conflict in ["40001", "40P01", "55P03"] {
            check(conflict, Code::Conflict);
        }
        check("57014", Code::Timeout);
        check("25006", Code::ReadOnly);
        check("54001", Code::LimitExceeded);
        for away in ["53100", "53300", "08006", "57P01", "57P02", "57P03"] {
            check(away, Code::Unavailable);
        }
        for internal in ["42P01", "42703", "42601", "XX000", "25P02", "0A000", "58030", "", "?"] {
            check(internal, Code::Internal);
        }
    }
}
