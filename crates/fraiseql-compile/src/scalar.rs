//! Which GraphQL type a SQL type can become, how its values travel, and what can be asked of them.

use fraiseql_model::artifact::Encoding;
use fraiseql_model::catalog::QualifiedName;

/// A scalar that GraphQL does not bring along.
#[derive(Debug)]
pub(crate) struct CustomScalar {
    pub(crate) name: &'static str,
    /// Where its format is specified.
    pub(crate) specified_by: Option<&'static str>,
    pub(crate) description: &'static str,
}

const fn custom(name: &'static str, url: &'static str, description: &'static str) -> CustomScalar {
    CustomScalar { name, specified_by: if url.is_empty() { None } else { Some(url) }, description }
}

/// Every scalar beyond the five of GraphQL, by name.
pub(crate) const CUSTOM: &[CustomScalar] = &[
    custom("BigInt", "", "A whole number of 64 bits, as a string."),
    custom("Bytes", "https://www.rfc-editor.org/rfc/rfc4648", "Bytes in base64, with padding."),
    custom("Date", "https://www.rfc-editor.org/rfc/rfc3339", "A date: 2026-01-31."),
    custom("DateRange", "", "A range of dates: [2026-01-01,2026-02-01)."),
    custom("DateTime", "https://www.rfc-editor.org/rfc/rfc3339", "An instant: 2026-01-31T23:59:59+00:00."),
    custom("Decimal", "", "A decimal number of any size, as a string."),
    custom("Int4Range", "", "A range of whole numbers of 32 bits: [1,10)."),
    custom("Int8Range", "", "A range of whole numbers of 64 bits: [1,10)."),
    custom("Interval", "", "A length of time in ISO 8601: P1DT2H."),
    custom("JSON", "https://www.rfc-editor.org/rfc/rfc8259", "Any JSON value."),
    custom("LocalDateTime", "", "A date and time without a zone: 2026-01-31T23:59:59."),
    custom("NumRange", "", "A range of decimal numbers: [1.5,2.5)."),
    custom("Time", "", "A time of day: 23:59:59, with an offset where the column has one."),
    custom("TsRange", "", "A range of dates and times without a zone."),
    custom("TstzRange", "", "A range of instants."),
    custom("UUID", "https://www.rfc-editor.org/rfc/rfc9562", "A UUID: 123e4567-e89b-12d3-a456-426614174000."),
];

/// The scalars of section 3.5 of the specification.
const BUILT_IN: &[&str] = &["Boolean", "Float", "ID", "Int", "String"];

pub(crate) fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

pub(crate) fn is_custom(name: &str) -> bool {
    CUSTOM.iter().any(|scalar| scalar.name == name)
}

/// Returns every scalar's name.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().copied().chain(CUSTOM.iter().map(|scalar| scalar.name))
}

/// What a SQL type is, domains taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Boolean,
    Int,
    BigInt,
    Float,
    Decimal,
    Text,
    Uuid,
    DateTime,
    LocalDateTime,
    Date,
    Time,
    Interval,
    Json,
    Composite,
    Bytes,
    /// A built-in range, by its scalar.
    Range(&'static str),
    Enum(QualifiedName),
    /// A network address, whose cast to text says more than its text form (`10.0.0.1/32`).
    Network,
    /// Words with their places, ready to be searched.
    TextSearch,
    /// Anything else: its text form, and which comparisons PostgreSQL has for it.
    Opaque(Comparison),
}

/// Which comparisons PostgreSQL has for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Comparison {
    None,
    Equal,
    Ordered,
}

impl Class {
    /// Returns what a type of `pg_catalog` or of an extension is; user-defined kinds are not known here.
    pub(crate) fn of_name(name: &QualifiedName) -> Self {
        let known = if name.schema == "pg_catalog" { built_in(&name.name) } else { extension(&name.name) };
        known.unwrap_or(Self::Opaque(Comparison::None))
    }

    /// Returns the scalar that a column of this class becomes when nobody chooses; none for enums.
    pub(crate) fn scalar(&self) -> Option<&'static str> {
        Some(match self {
            Self::Boolean => "Boolean",
            Self::Int => "Int",
            Self::BigInt => "BigInt",
            Self::Float => "Float",
            Self::Decimal => "Decimal",
            Self::Text | Self::Network | Self::TextSearch | Self::Opaque(_) => "String",
            Self::Uuid => "UUID",
            Self::DateTime => "DateTime",
            Self::LocalDateTime => "LocalDateTime",
            Self::Date => "Date",
            Self::Time => "Time",
            Self::Interval => "Interval",
            Self::Json | Self::Composite => "JSON",
            Self::Bytes => "Bytes",
            Self::Range(scalar) => scalar,
            Self::Enum(_) => return None,
        })
    }

    /// Returns the scalars that a value of this class can be, the usual one first.
    pub(crate) fn scalars(&self) -> Vec<&'static str> {
        let also: &[&str] = match self {
            Self::Int | Self::BigInt | Self::Text | Self::Uuid => &["ID"],
            Self::Enum(_) => &["String"],
            _ => &[],
        };
        self.scalar().into_iter().chain(also.iter().copied()).collect()
    }

    /// Returns how a value of this class is written as the scalar; `None` when it cannot be.
    pub(crate) fn encoding(&self, scalar: &str) -> Option<Encoding> {
        if !self.scalars().contains(&scalar) {
            return None;
        }
        Some(match (self, scalar) {
            (Self::Int, "ID") => Encoding::Text,
            (Self::BigInt | Self::Decimal | Self::TextSearch | Self::Opaque(_), _) => Encoding::Text,
            (Self::Float, _) => Encoding::Float,
            (Self::Bytes, _) => Encoding::Base64,
            _ => Encoding::Plain,
        })
    }

    /// Returns true when every value of the scalar is also one of this class, as far as its kind
    /// goes: for arguments of functions, where `Int` may be given for a bigint.
    pub(crate) fn accepts(&self, scalar: &str) -> bool {
        match scalar {
            "Int" => matches!(self, Self::Int | Self::BigInt | Self::Float | Self::Decimal),
            "Float" => matches!(self, Self::Float | Self::Decimal),
            _ => self.scalars().contains(&scalar),
        }
    }

    /// Returns which comparisons there are for single values.
    pub(crate) fn comparison(&self) -> Comparison {
        match self {
            Self::Composite => Comparison::None,
            Self::Json => Comparison::None,
            Self::Network => Comparison::Ordered,
            Self::Opaque(comparison) => *comparison,
            _ => Comparison::Ordered,
        }
    }
}

fn built_in(name: &str) -> Option<Class> {
    Some(match name {
        "bool" => Class::Boolean,
        "int2" | "int4" => Class::Int,
        "int8" => Class::BigInt,
        "float4" | "float8" => Class::Float,
        "numeric" => Class::Decimal,
        "text" | "varchar" | "bpchar" | "name" => Class::Text,
        "uuid" => Class::Uuid,
        "timestamptz" => Class::DateTime,
        "timestamp" => Class::LocalDateTime,
        "date" => Class::Date,
        "time" | "timetz" => Class::Time,
        "interval" => Class::Interval,
        "json" | "jsonb" => Class::Json,
        "bytea" => Class::Bytes,
        "int4range" => Class::Range("Int4Range"),
        "int8range" => Class::Range("Int8Range"),
        "numrange" => Class::Range("NumRange"),
        "tsrange" => Class::Range("TsRange"),
        "tstzrange" => Class::Range("TstzRange"),
        "daterange" => Class::Range("DateRange"),
        "inet" | "cidr" => Class::Network,
        "tsvector" => Class::TextSearch,
        "macaddr" | "macaddr8" | "bit" | "varbit" | "money" | "oid" | "pg_lsn" | "xid8" | "tsquery" => {
            Class::Opaque(Comparison::Ordered)
        }
        "xid" | "cid" | "tid" | "int4multirange" | "int8multirange" | "nummultirange" | "tsmultirange"
        | "tstzmultirange" | "datemultirange" => Class::Opaque(Comparison::Equal),
        _ => return None,
    })
}

fn extension(name: &str) -> Option<Class> {
    Some(match name {
        "citext" => Class::Text,
        "hstore" | "ltree" => Class::Opaque(Comparison::Ordered),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_of_a_class_is_known_and_encodable() {
        for name in ["bool", "int4", "int8", "numeric", "text", "uuid", "json", "bytea", "daterange", "xml"] {
            let class = Class::of_name(&QualifiedName::new("pg_catalog", name));
            for scalar in class.scalars() {
                assert!(is_built_in(scalar) || is_custom(scalar), "{scalar}");
                assert!(class.encoding(scalar).is_some(), "{name} as {scalar}");
                assert!(class.accepts(scalar), "{name} from {scalar}");
            }
        }
    }

    #[test]
    fn a_bigint_is_never_an_int() {
        let class = Class::of_name(&QualifiedName::new("pg_catalog", "int8"));
        assert_eq!(class.encoding("Int"), None);
        assert_eq!(class.encoding("BigInt"), Some(Encoding::Text));
        assert_eq!(class.encoding("ID"), Some(Encoding::Text));
        assert!(class.accepts("Int"), "but an argument may be given as one");
    }
}
