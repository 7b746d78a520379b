//! Tables with their rows in memory, and the same as SQL and as a schema.

use fraiseql_model::names::{quote_identifier, quote_literal};

/// What every list has beside it.
const READ: &str = "@read(aggregate: true, connection: true, distinct: true)";

/// A whole database and its schema.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) tables: Vec<Table>,
}

/// A table; its first column is its key.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) list: String,
    pub(super) lookups: Vec<Lookup>,
    pub(super) columns: Vec<Column>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) fields: Vec<Field>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// Directives that say who may use which rows.
    pub(super) rules: String,
}

/// A root field that finds a row by one of the table's columns.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) name: String,
    /// The index of the column's field.
    pub(super) field: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    pub(super) unique: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    BigInt,
    Text,
    Boolean,
    Decimal,
    Float,
    Date,
    TextList,
}

/// A foreign key to the key of another table.
#[derive(Clone, Debug)]
pub(super) struct ForeignKey {
    pub(super) column: usize,
    pub(super) target: usize,
}

/// A field of an object type.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) non_null: bool,
    pub(super) directives: String,
    pub(super) binding: Binding,
}

#[derive(Clone, Debug)]
pub(super) enum Binding {
    /// A column, and whether it is shown as an `ID`.
    Column {
        column: usize,
        id: bool,
    },
    ToOne(Way),
    ToMany(Way),
}

/// How to get from a row of one table to rows of another: equal columns.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) target: usize,
    pub(super) local: usize,
    pub(super) remote: usize,
}

/// A value in a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Boolean(bool),
    /// Millionths.
    Decimal(i128),
    Float(f64),
    /// Four digits of year, two of month, two of day.
    Date(String),
    List(Vec<Option<String>>),
}

impl Kind {
    /// Returns the scalar that a column of this kind becomes.
    pub(super) fn scalar(self, id: bool) -> &'static str {
        match self {
            _ if id => "ID",
            Self::Int => "Int",
            Self::BigInt => "BigInt",
            Self::Text | Self::TextList => "String",
            Self::Boolean => "Boolean",
            Self::Decimal => "Decimal",
            Self::Float => "Float",
            Self::Date => "Date",
        }
    }

    /// Returns the filter that a column of this kind gets.
    pub(super) fn filter(self, id: bool) -> String {
        match self {
            Self::Text if id => "TextIDFilter".to_owned(),
            Self::TextList => "StringListFilter".to_owned(),
            _ => format!("{}Filter", self.scalar(id)),
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Int => "int4",
            Self::BigInt => "int8",
            Self::Text => "text COLLATE \"C\"",
            Self::Boolean => "bool",
            Self::Decimal => "numeric(12,3)",
            Self::Float => "float8",
            Self::Date => "date",
            Self::TextList => "text[] COLLATE \"C\"",
        }
    }
}

impl Model {
    /// Returns the statements that make the tables and fill them.
    pub(super) fn ddl(&self) -> String {
        let mut sql = String::new();
        for table in &self.tables {
            table.write_ddl(&mut sql);
        }
        for table in &self.tables {
            for key in &table.foreign_keys {
                let target = &self.tables[key.target];
                sql.push_str(&format!(
                    "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({});\n",
                    quote_identifier(&table.name),
                    quote_identifier(&table.columns[key.column].name),
                    quote_identifier(&target.name),
                    quote_identifier(&target.columns[0].name),
                ));
            }
        }
        sql
    }

    /// Returns `schema.graphql`.
    pub(super) fn sdl(&self) -> String {
        let mut query = String::from("type Query {\n");
        let mut types = String::new();
        for table in &self.tables {
            query.push_str(&format!("  {}: [{}!]!\n", table.list, table.type_name));
            for lookup in &table.lookups {
                let field = &table.fields[lookup.field];
                let scalar = self.graphql(table, &field.binding);
                query.push_str(&format!(
                    "  {}({}: {scalar}!): {}\n",
                    lookup.name, field.name, table.type_name
                ));
            }
            let relation = graphql_string(&table.name);
            types.push_str(&format!(
                "type {} @relation(name: {relation}) {READ}{} {{\n",
                table.type_name, table.rules
            ));
            for field in &table.fields {
                let bang = if field.non_null { "!" } else { "" };
                let shape = self.graphql(table, &field.binding);
                types.push_str(&format!("  {}: {shape}{bang}{}\n", field.name, field.directives));
            }
            types.push_str("}\n");
        }
        format!("{query}}}\n{types}")
    }

    fn graphql(&self, table: &Table, binding: &Binding) -> String {
        match binding {
            Binding::Column { column, id } => {
                let kind = table.columns[*column].kind;
                let scalar = kind.scalar(*id);
                if kind == Kind::TextList { format!("[{scalar}]") } else { scalar.to_owned() }
            }
            Binding::ToOne(way) => self.tables[way.target].type_name.clone(),
            Binding::ToMany(way) => format!("[{}!]", self.tables[way.target].type_name),
        }
    }
}

impl Table {
    /// Returns the field of this name.
    pub(super) fn field(&self, name: &str) -> &Field {
        self.fields.iter().find(|field| field.name == name).expect("operations name fields that exist")
    }

    fn write_ddl(&self, sql: &mut String) {
        let columns: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let mut definition = format!("{} {}", quote_identifier(&column.name), column.kind.sql());
                definition.push_str(if index == 0 { " PRIMARY KEY" } else { "" });
                definition.push_str(if column.nullable { "" } else { " NOT NULL" });
                definition.push_str(if column.unique { " UNIQUE" } else { "" });
                definition
            })
            .collect();
        let name = quote_identifier(&self.name);
        sql.push_str(&format!("CREATE TABLE {name} ({});\n", columns.join(", ")));
        let row = |row: &Vec<Cell>| format!("({})", row.iter().map(Cell::sql).collect::<Vec<_>>().join(", "));
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        if !rows.is_empty() {
            sql.push_str(&format!("INSERT INTO {name} VALUES\n{};\n", rows.join(",\n")));
        }
    }
}

impl Cell {
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the value as an SQL literal.
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Int(value) => value.to_string(),
            Self::Text(text) | Self::Date(text) => quote_literal(text),
            Self::Boolean(value) => value.to_string(),
            Self::Decimal(value) => quote_literal(&decimal_text(*value, 6)),
            Self::Float(value) => quote_literal(&value.to_string()),
            Self::List(items) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| item.as_deref().map_or("NULL".to_owned(), quote_literal))
                    .collect();
                format!("ARRAY[{}]::text[]", items.join(", "))
            }
        }
    }
}

/// Returns millionths as a decimal number with so many places.
pub(super) fn decimal_text(millionths: i128, places: u32) -> String {
    let digits = millionths.unsigned_abs() / 10_u128.pow(6 - places);
    let one = 10_u128.pow(places);
    let sign = if millionths < 0 { "-" } else { "" };
    if places == 0 {
        return format!("{sign}{digits}");
    }
    format!("{sign}{}.{:0width$}", digits / one, digits % one, width = places as usize)
}

/// Returns a string as GraphQL writes it.
pub(super) fn graphql_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if (control as u32) < 0x20 || control == '\u{7f}' => {
                quoted.push_str(&format!("\\u{:04x}", control as u32));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
