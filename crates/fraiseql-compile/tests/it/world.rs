//! A catalog from a few lines of text, so that each test shows its whole database.
//!
//! ```text
//! table artist                          also view, matview, partitioned, foreign; "quoted names" work
//!   artist_id int4 pk
//!   name varchar?                       ? is nullable, [] an array
//!   genre_id int4 -> genre.genre_id     a foreign key; `novalid` behind it
//!   email text unique default           also: identity, always, generated, index, from table.column
//!   unique a b                          also: primary a b, index a b, fk a b -> table c d
//!   # the comment of the relation
//! enum mood happy sad
//! domain email = text
//! composite address street text city text
//! function top(n int4, m int4 =) -> setof row track   volatile
//! ```

use fraiseql_model::catalog::*;

/// Reads the text; panics on what it does not know.
#[track_caller]
pub fn world(text: &str) -> Catalog {
    let mut catalog = Catalog {
        format: CATALOG_FORMAT,
        server_version: 150_000,
        database: "test".to_owned(),
        relations: Vec::new(),
        types: Vec::new(),
        functions: Vec::new(),
        left_out: Vec::new(),
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words = tokens(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if line.starts_with(' ') && (!catalog.relations.is_empty()) && !is_head(&words) {
            let relation = catalog.relations.last_mut().unwrap();
            member(relation, &words, line);
            continue;
        }
        match words[0] {
            "table" | "view" | "matview" | "partitioned" | "foreign" => {
                catalog.relations.push(relation(words[0], words[1], &words[2..]));
            }
            "enum" => catalog.types.push(sql_type(
                words[1],
                SqlTypeKind::Enum { labels: words[2..].iter().map(|word| (*word).to_owned()).collect() },
            )),
            "domain" => catalog.types.push(sql_type(
                words[1],
                SqlTypeKind::Domain { base: type_ref(words[3]), not_null: words.contains(&"notnull") },
            )),
            "range" => {
                catalog.types.push(sql_type(words[1], SqlTypeKind::Range { subtype: type_ref(words[2]) }))
            }
            "composite" => catalog.types.push(sql_type(
                words[1],
                SqlTypeKind::Composite {
                    attributes: words[2..]
                        .chunks(2)
                        .map(|pair| Attribute { name: pair[0].to_owned(), sql_type: type_ref(pair[1]) })
                        .collect(),
                },
            )),
            "function" => catalog.functions.push(function(line)),
            other => panic!("what is {other}?"),
        }
    }
    catalog.relations.sort_by(|left, right| left.name.cmp(&right.name));
    catalog.types.sort_by(|left, right| left.name.cmp(&right.name));
    catalog
}

fn is_head(words: &[&str]) -> bool {
    let heads = [
        "table",
        "view",
        "matview",
        "partitioned",
        "foreign",
        "enum",
        "domain",
        "range",
        "composite",
        "function",
    ];
    heads.contains(&words[0])
}

fn tokens(line: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    let mut quoted = false;
    for character in line.trim().chars() {
        match character {
            '"' => {
                if quoted && token.is_empty() {
                    tokens.push(String::new());
                }
                quoted = !quoted;
            }
            ' ' | ',' | '(' | ')' if !quoted => {
                if !token.is_empty() {
                    tokens.push(std::mem::take(&mut token));
                }
            }
            other => token.push(other),
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}

pub fn name(text: &str) -> QualifiedName {
    match text.split_once('.') {
        Some((schema, name)) => QualifiedName::new(schema, name),
        None => QualifiedName::new("public", text),
    }
}

fn sql_type(text: &str, kind: SqlTypeKind) -> SqlType {
    SqlType { name: name(text), comment: None, kind }
}

fn relation(kind: &str, text: &str, words: &[&str]) -> Relation {
    let kind = match kind {
        "table" => RelationKind::Table,
        "view" => RelationKind::View,
        "matview" => RelationKind::MaterializedView,
        "partitioned" => RelationKind::PartitionedTable,
        _ => RelationKind::ForeignTable,
    };
    let writable = !matches!(kind, RelationKind::View | RelationKind::MaterializedView);
    Relation {
        name: name(text),
        kind,
        comment: None,
        columns: Vec::new(),
        primary_key: None,
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        privileges: Privileges {
            insert: !words.contains(&"noinsert"),
            update: !words.contains(&"noupdate"),
            delete: !words.contains(&"nodelete"),
        },
        updatable: writable || words.contains(&"updatable"),
    }
}

fn member(relation: &mut Relation, words: &[&str], line: &str) {
    let strings = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    match words[0] {
        "#" => relation.comment = Some(line.trim().trim_start_matches("# ").to_owned()),
        "primary" => set_primary(relation, strings(&words[1..])),
        "unique" => add_unique(relation, strings(&words[1..])),
        "index" => relation.indexes.push(strings(&words[1..])),
        "fk" => {
            let arrow = words.iter().position(|word| *word == "->").unwrap();
            let columns = strings(&words[1..arrow]);
            let target = strings(&words[arrow + 2..]);
            add_foreign(relation, columns, name(words[arrow + 1]), target, true);
        }
        _ => column(relation, words),
    }
}

fn column(relation: &mut Relation, words: &[&str]) {
    let nullable = words[1].ends_with('?');
    let has = |word: &str| words[2..].contains(&word);
    let after = |word: &str| words.iter().position(|found| *found == word).map(|at| words[at + 1]);
    let column_name = words[0].to_owned();
    let view = matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
    relation.columns.push(Column {
        name: column_name.clone(),
        sql_type: type_ref(words[1].trim_end_matches('?')),
        nullability: match (nullable, view) {
            (true, _) => Nullability::Nullable,
            (false, false) => Nullability::NotNull,
            (false, true) => Nullability::Traced,
        },
        has_default: has("default") || has("identity") || has("always"),
        generated: if has("identity") {
            Generated::IdentityByDefault
        } else if has("always") {
            Generated::IdentityAlways
        } else if has("generated") {
            Generated::Expression
        } else {
            Generated::No
        },
        comment: after("comment").map(str::to_owned),
        origin: after("from").map(|origin| {
            let (table, column) = origin.rsplit_once('.').unwrap();
            ColumnOrigin { relation: name(table), column: column.to_owned() }
        }),
    });
    if has("pk") {
        set_primary(relation, vec![column_name.clone()]);
    }
    if has("unique") {
        add_unique(relation, vec![column_name.clone()]);
    }
    if has("index") {
        relation.indexes.push(vec![column_name.clone()]);
    }
    if let Some(target) = after("->") {
        let (table, target) = target.rsplit_once('.').unwrap();
        add_foreign(relation, vec![column_name], name(table), vec![target.to_owned()], !has("novalid"));
    }
}

fn set_primary(relation: &mut Relation, columns: Vec<String>) {
    relation.indexes.push(columns.clone());
    relation.primary_key = Some(Key { name: format!("{}_pkey", relation.name.name), columns });
}

fn add_unique(relation: &mut Relation, columns: Vec<String>) {
    relation.indexes.push(columns.clone());
    relation
        .unique_keys
        .push(Key { name: format!("{}_{}_key", relation.name.name, columns.join("_")), columns });
}

fn add_foreign(
    relation: &mut Relation,
    columns: Vec<String>,
    target: QualifiedName,
    target_columns: Vec<String>,
    validated: bool,
) {
    relation.foreign_keys.push(ForeignKey {
        name: format!("{}_{}_fkey", relation.name.name, columns.join("_")),
        columns,
        target,
        target_columns,
        validated,
    });
}

pub fn type_ref(text: &str) -> TypeRef {
    const OWN: &[&str] = &[
        "mood", "email", "citext", "address", "positive", "tags", "hstore", "geometry", "feeling", "period",
    ];
    let (base, array) = match text.strip_suffix("[]") {
        Some(base) => (base, true),
        None => (text, false),
    };
    let name = match base.split_once('.') {
        Some((schema, name)) => QualifiedName::new(schema, name),
        None if OWN.contains(&base) => QualifiedName::new("public", base),
        None => QualifiedName::new("pg_catalog", base),
    };
    TypeRef { name, array }
}

fn function(line: &str) -> Function {
    let (head, result) = line.split_once(" -> ").unwrap();
    let head = head.trim().strip_prefix("function ").unwrap();
    let (function_name, parameters) = head.split_once('(').unwrap();
    let parameters = parameters.trim_end_matches(')');
    let parameters =
        parameters.split(',').filter(|parameter| !parameter.trim().is_empty()).map(|parameter| {
            let words: Vec<&str> = parameter.split_whitespace().collect();
            let has_default = words.contains(&"=");
            let variadic = words.contains(&"variadic");
            let plain: Vec<&str> =
                words.iter().filter(|word| !["=", "variadic"].contains(*word)).copied().collect();
            Parameter {
                name: if plain.len() > 1 { plain[0].to_owned() } else { String::new() },
                sql_type: type_ref(plain.last().unwrap()),
                has_default,
                variadic,
            }
        });
    let words: Vec<&str> = result.split_whitespace().collect();
    let set = words[0] == "setof";
    let rest = if set { &words[1..] } else { &words[..] };
    Function {
        name: name(function_name),
        comment: None,
        parameters: parameters.collect(),
        returns: match rest[0] {
            "void" => FunctionResult::Void,
            "row" => FunctionResult::Row { relation: name(rest[1]), set },
            "table" => FunctionResult::Table {
                columns: vec![Attribute { name: "x".to_owned(), sql_type: type_ref("int4") }],
                set: true,
            },
            "trigger" => FunctionResult::Other,
            other => FunctionResult::Value { sql_type: type_ref(other), set },
        },
        volatility: if words.contains(&"volatile") { Volatility::Volatile } else { Volatility::Stable },
        strict: false,
    }
}

/// The Chinook database.
pub fn chinook() -> Catalog {
    world(CHINOOK)
}

pub const CHINOOK: &str = "
table album
  album_id int4 pk
  title varchar
  artist_id int4 -> artist.artist_id index
table artist
  artist_id int4 pk
  name varchar?
table customer
  customer_id int4 pk
  first_name varchar
  last_name varchar
  company varchar?
  address varchar?
  city varchar?
  state varchar?
  country varchar?
  postal_code varchar?
  phone varchar?
  fax varchar?
  email varchar
  support_rep_id int4? -> employee.employee_id index
table employee
  employee_id int4 pk
  last_name varchar
  first_name varchar
  title varchar?
  reports_to int4? -> employee.employee_id index
  birth_date timestamp?
  hire_date timestamp?
  address varchar?
  city varchar?
  state varchar?
  country varchar?
  postal_code varchar?
  phone varchar?
  fax varchar?
  email varchar?
table genre
  genre_id int4 pk
  name varchar?
table invoice
  invoice_id int4 pk
  customer_id int4 -> customer.customer_id index
  invoice_date timestamp
  billing_address varchar?
  billing_city varchar?
  billing_state varchar?
  billing_country varchar?
  billing_postal_code varchar?
  total numeric
table invoice_line
  invoice_line_id int4 pk
  invoice_id int4 -> invoice.invoice_id index
  track_id int4 -> track.track_id index
  unit_price numeric
  quantity int4
table media_type
  media_type_id int4 pk
  name varchar?
table playlist
  playlist_id int4 pk
  name varchar?
table playlist_track
  playlist_id int4 -> playlist.playlist_id index
  track_id int4 -> track.track_id index
  primary playlist_id track_id
table track
  track_id int4 pk
  name varchar
  album_id int4? -> album.album_id index
  media_type_id int4 -> media_type.media_type_id index
  genre_id int4? -> genre.genre_id index
  composer varchar?
  milliseconds int4
  bytes int4?
  unit_price numeric
";
