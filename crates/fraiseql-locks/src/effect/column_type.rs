//! Types of columns: which change leaves the rows as they are, and which types check values.

use crate::schema::KnownSchema;

/// What a change of type does to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeChange {
    /// The rows stay as they are.
    Meta,
    /// Every row is written anew, or nobody knows.
    Rewrite,
}

/// Types that PostgreSQL and well-known extensions bring, none of them a domain.
const BUILT_IN: &[&str] = &[
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "bigint",
    "smallint",
    "text",
    "varchar",
    "char",
    "bpchar",
    "boolean",
    "bool",
    "numeric",
    "decimal",
    "real",
    "float",
    "float4",
    "float8",
    "double precision",
    "money",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "bytea",
    "bit",
    "varbit",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "xml",
    "oid",
    "regclass",
    "name",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
    "datemultirange",
    "pg_lsn",
    "citext",
    "hstore",
    "ltree",
    "vector",
    "geometry",
    "geography",
];

/// A type as PostgreSQL knows it: one name, and what stands in parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    base: String,
    limits: Vec<i64>,
    array: bool,
}

/// Returns true for smallserial, serial and bigserial.
pub(crate) fn is_serial(kind: &str) -> bool {
    matches!(kind, "serial" | "serial4" | "bigserial" | "serial8" | "smallserial" | "serial2")
}

/// Returns whether values of a type are checked, `None` where the type is not known.
pub(crate) fn constrained(kind: &str, schema: &KnownSchema) -> Option<bool> {
    if is_serial(kind) {
        return Some(false);
    }
    let named = read(kind);
    if BUILT_IN.contains(&named.base.as_str()) || schema.enums.contains(&named.base) {
        return Some(false);
    }
    schema.domains.get(&named.base).copied()
}

/// Returns what changing a column from one type to another does.
pub(crate) fn change(from: &str, to: &str, schema: &KnownSchema) -> TypeChange {
    let (from, to) = (read(from), read(to));
    if from == to {
        return TypeChange::Meta;
    }
    let known = |base: &str| BUILT_IN.contains(&base);
    if from.array || to.array || !known(&from.base) || !known(&to.base) {
        let unchecked = schema.domains.get(&from.base) == Some(&false) && from == to;
        return if unchecked { TypeChange::Meta } else { TypeChange::Rewrite };
    }
    let wider = || match (from.limits.as_slice(), to.limits.as_slice()) {
        (_, []) => true,
        ([], _) => false,
        (from, to) => from.len() == to.len() && from[0] <= to[0] && from[1..] == to[1..],
    };
    let meta = match (from.base.as_str(), to.base.as_str()) {
        ("varchar", "text") | ("cidr", "inet") | ("citext", "text") => true,
        ("text", "varchar") => to.limits.is_empty(),
        ("varchar", "varchar") | ("numeric", "numeric") | ("varbit", "varbit") => wider(),
        ("timestamp", "timestamp") | ("timestamptz", "timestamptz") => wider(),
        ("time", "time") | ("timetz", "timetz") => wider(),
        _ => false,
    };
    if meta { TypeChange::Meta } else { TypeChange::Rewrite }
}

/// Returns true for USING that is the column, or the column cast to the new type.
pub(crate) fn is_plain_cast(using: &str, column: &str) -> bool {
    using.trim().trim_matches('"').eq_ignore_ascii_case(column)
}

fn read(kind: &str) -> Named {
    let lower = kind.trim().to_lowercase();
    let lower = lower.strip_prefix("pg_catalog.").unwrap_or(&lower);
    let lower = lower.strip_prefix("public.").unwrap_or(lower);
    let array = lower.contains('[') || lower.ends_with(" array");
    let (mut limits, mut words) = (Vec::new(), lower.to_owned());
    if let (Some(open), Some(close)) = (lower.find('('), lower.find(')')) {
        for limit in lower[open + 1..close].split(',') {
            // A limit that is no number is none that can be compared.
            limits.push(limit.trim().parse().unwrap_or(i64::MIN));
        }
        words = format!("{}{}", &lower[..open], &lower[close + 1..]);
    }
    let words = words.replace("[]", "").split_whitespace().collect::<Vec<_>>().join(" ");
    let base = match words.as_str() {
        "int" | "int4" | "integer" => "integer",
        "int8" | "bigint" => "bigint",
        "int2" | "smallint" => "smallint",
        "character varying" | "char varying" | "varchar" => "varchar",
        "character" | "char" | "bpchar" => "char",
        "decimal" | "numeric" => "numeric",
        "bool" | "boolean" => "boolean",
        "float8" | "double precision" | "float" => "double precision",
        "float4" | "real" => "real",
        "timestamp" | "timestamp without time zone" => "timestamp",
        "timestamptz" | "timestamp with time zone" => "timestamptz",
        "time" | "time without time zone" => "time",
        "timetz" | "time with time zone" => "timetz",
        "bit varying" | "varbit" => "varbit",
        other if other.starts_with("interval") => "interval",
        other => other,
    };
    // numeric(10) is numeric(10,0).
    if base == "numeric" && limits.len() == 1 {
        limits.push(0);
    }
    Named { base: base.to_owned(), limits, array }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, expected: TypeChange) {
        assert_eq!(change(from, to, &KnownSchema::default()), expected, "{from} to {to}");
    }

    #[test]
    fn only_a_larger_type_of_the_same_kind_leaves_rows_alone() {
        for (from, to) in [
            ("varchar(20)", "varchar(40)"),
            ("character varying(20)", "text"),
            ("varchar(20)", "varchar"),
            ("text", "varchar"),
            ("numeric(10,2)", "numeric(12,2)"),
            ("numeric(10,2)", "numeric"),
            ("numeric(10)", "numeric(12,0)"),
            ("timestamp(3)", "timestamp(6)"),
            ("timestamp(3)", "timestamp without time zone"),
            ("int", "integer"),
            ("cidr", "inet"),
        ] {
            check(from, to, TypeChange::Meta);
        }
        for (from, to) in [
            ("int", "bigint"),
            ("varchar(40)", "varchar(20)"),
            ("text", "varchar(20)"),
            ("numeric(10,2)", "numeric(12,3)"),
            ("numeric", "numeric(12,3)"),
            ("char(3)", "char(4)"),
            ("char(3)", "text"),
            ("timestamp", "timestamptz"),
            ("mood", "text"),
            ("int[]", "bigint[]"),
            ("text", "uuid"),
        ] {
            check(from, to, TypeChange::Rewrite);
        }
    }
}
