//! Catalogs become schemas, and those schemas compile.

use fraiseql_compile::{InitOptions, InitOutput, Source, compile, init};
use fraiseql_model::catalog::Catalog;
use fraiseql_model::diagnostic::Severity;

use crate::world::{chinook, world};

/// Proposes a schema with `@read` and one without, compiles both, and returns the shorter.
#[track_caller]
fn proposed(catalog: &Catalog) -> InitOutput {
    compiled(catalog, &InitOptions::default());
    compiled(catalog, &InitOptions { reads: false, ..InitOptions::default() })
}

/// Proposes a schema, and compiles it: errors are failures.
#[track_caller]
fn compiled(catalog: &Catalog, options: &InitOptions) -> InitOutput {
    let output = init(catalog, options);
    let source = Source { file: "schema.graphql", text: &output.schema };
    let compiled = compile(source, catalog, "0.0.0-test");
    let errors: Vec<String> = compiled
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| found.render(Some(&output.schema)))
        .collect();
    assert!(errors.is_empty(), "{}\n{}", errors.concat(), output.schema);
    if let Some(artifact) = compiled.artifact {
        fraiseql_engine::Schema::load(artifact.clone())
            .unwrap_or_else(|error| panic!("{error}\n{}", artifact.sdl));
    }
    output
}

fn body(schema: &str) -> String {
    let lines = schema.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn chinook_reads_as_a_person_would_write_it() {
    let output = proposed(&chinook());
    insta::assert_snapshot!(body(&output.schema), @r#"
type Query {
  albums: [Album!]!
  album(albumId: Int!): Album
  artists: [Artist!]!
  artist(artistId: Int!): Artist
  customers: [Customer!]!
  customer(customerId: Int!): Customer
  employees: [Employee!]!
  employee(employeeId: Int!): Employee
  genres: [Genre!]!
  genre(genreId: Int!): Genre
  invoices: [Invoice!]!
  invoice(invoiceId: Int!): Invoice
  invoiceLines: [InvoiceLine!]!
  invoiceLine(invoiceLineId: Int!): InvoiceLine
  mediaTypes: [MediaType!]!
  mediaType(mediaTypeId: Int!): MediaType
  playlists: [Playlist!]!
  playlist(playlistId: Int!): Playlist
  playlistTracks: [PlaylistTrack!]!
  playlistTrack(playlistId: Int!, trackId: Int!): PlaylistTrack
  tracks: [Track!]!
  track(trackId: Int!): Track
}

type Album @relation(name: "album") @write(insert: true, update: true, delete: true, upsert: true) {
  albumId: Int!
  title: String!
  artistId: Int!
  artist: Artist!
  tracks: [Track!]!
}

type Artist @relation(name: "artist") @write(insert: true, update: true, delete: true, upsert: true) {
  artistId: Int!
  name: String
  albums: [Album!]!
}

type Customer @relation(name: "customer") @write(insert: true, update: true, delete: true, upsert: true) {
  customerId: Int!
  firstName: String!
  lastName: String!
  company: String
  address: String
  city: String
  state: String
  country: String
  postalCode: String
  phone: String
  fax: String
  email: String!
  supportRepId: Int
  supportRep: Employee
  invoices: [Invoice!]!
}

type Employee @relation(name: "employee") @write(insert: true, update: true, delete: true, upsert: true) {
  employeeId: Int!
  lastName: String!
  firstName: String!
  title: String
  reportsTo: Int
  birthDate: LocalDateTime
  hireDate: LocalDateTime
  address: String
  city: String
  state: String
  country: String
  postalCode: String
  phone: String
  fax: String
  email: String
  reportsToEmployee: Employee
  customers: [Customer!]!
  employees: [Employee!]!
}

type Genre @relation(name: "genre") @write(insert: true, update: true, delete: true, upsert: true) {
  genreId: Int!
  name: String
  tracks: [Track!]!
}

type Invoice @relation(name: "invoice") @write(insert: true, update: true, delete: true, upsert: true) {
  invoiceId: Int!
  customerId: Int!
  invoiceDate: LocalDateTime!
  billingAddress: String
  billingCity: String
  billingState: String
  billingCountry: String
  billingPostalCode: String
  total: Decimal!
  customer: Customer!
  invoiceLines: [InvoiceLine!]!
}

type InvoiceLine @relation(name: "invoice_line") @write(insert: true, update: true, delete: true, upsert: true) {
  invoiceLineId: Int!
  invoiceId: Int!
  trackId: Int!
  unitPrice: Decimal!
  quantity: Int!
  invoice: Invoice!
  track: Track!
}

type MediaType @relation(name: "media_type") @write(insert: true, update: true, delete: true, upsert: true) {
  mediaTypeId: Int!
  name: String
  tracks: [Track!]!
}

type Playlist @relation(name: "playlist") @write(insert: true, update: true, delete: true, upsert: true) {
  playlistId: Int!
  name: String
  playlistTracks: [PlaylistTrack!]!
}

type PlaylistTrack @relation(name: "playlist_track") @write(insert: true, update: true, delete: true, upsert: true) {
  playlistId: Int!
  trackId: Int!
  playlist: Playlist!
  track: Track!
}

type Track @relation(name: "track") @write(insert: true, update: true, delete: true, upsert: true) {
  trackId: Int!
  name: String!
  albumId: Int
  mediaTypeId: Int!
  genreId: Int
  composer: String
  milliseconds: Int!
  bytes: Int
  unitPrice: Decimal!
  album: Album
  genre: Genre
  mediaType: MediaType!
  invoiceLines: [InvoiceLine!]!
  playlistTracks: [PlaylistTrack!]!
}

"A decimal number of any size, as a string."
scalar Decimal

"A date and time without a zone: 2026-01-31T23:59:59."
scalar LocalDateTime
"#);
    let (service, others) = output.grants.split_once("\n-- The owner").unwrap();
    for name in ["fraiseql_owner", "fraiseql_reader", "fraiseql_backup"] {
        assert!(others.contains(&format!("CREATE ROLE \"{name}\" LOGIN NOSUPERUSER")), "{others}");
    }
    insta::assert_snapshot!(service, @r#"
    -- The least that the service needs. Run this as the owner of the database; run it again after
    -- the schema changed. It takes nothing away: REVOKE what a former schema needed.
    --
    -- Then give the role a password that is in no file, with psql's command \password "fraiseql_service"

    DO $fraiseql$
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'fraiseql_service') THEN
        CREATE ROLE "fraiseql_service" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
      END IF;
    END
    $fraiseql$;

    GRANT CONNECT ON DATABASE "test" TO "fraiseql_service";

    -- How values are written, for when a pooler stands between the service and this server.
    ALTER ROLE "fraiseql_service" SET IntervalStyle = 'iso_8601';
    ALTER ROLE "fraiseql_service" SET bytea_output = 'hex';
    ALTER ROLE "fraiseql_service" SET extra_float_digits = 1;
    ALTER ROLE "fraiseql_service" SET jit = off;
    GRANT USAGE ON SCHEMA "public" TO "fraiseql_service";

    -- What the schema reads.
    GRANT SELECT ON "public"."album" TO "fraiseql_service";
    GRANT SELECT ON "public"."artist" TO "fraiseql_service";
    GRANT SELECT ON "public"."customer" TO "fraiseql_service";
    GRANT SELECT ON "public"."employee" TO "fraiseql_service";
    GRANT SELECT ON "public"."genre" TO "fraiseql_service";
    GRANT SELECT ON "public"."invoice" TO "fraiseql_service";
    GRANT SELECT ON "public"."invoice_line" TO "fraiseql_service";
    GRANT SELECT ON "public"."media_type" TO "fraiseql_service";
    GRANT SELECT ON "public"."playlist" TO "fraiseql_service";
    GRANT SELECT ON "public"."playlist_track" TO "fraiseql_service";
    GRANT SELECT ON "public"."track" TO "fraiseql_service";

    -- What @write generates.
    GRANT INSERT, UPDATE, DELETE ON "public"."album" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."artist" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."customer" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."employee" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."genre" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."invoice" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."invoice_line" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."media_type" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."playlist" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."playlist_track" TO "fraiseql_service";
    GRANT INSERT, UPDATE, DELETE ON "public"."track" TO "fraiseql_service";
    "#);
    assert_eq!(output.notes, []);
}

#[test]
fn references_get_names_of_their_own() {
    let output = proposed(&world(
        "
table address
  id int4 pk
table orders
  id int4 pk
  billing_address_id int4 -> address.id index
  shipping_address_id int4? -> address.id index
  parent int4? -> orders.id index
table profile
  id int4 pk -> users.id
  bio text?
table users
  id int4 pk
  email text unique
  tenant int4
  nick text?
  unique tenant nick
table member
  tenant int4
  nick text?
  fk tenant nick -> users tenant nick
  primary tenant
",
    ));
    insta::assert_snapshot!(body(&output.schema), @r#"
type Query {
  addresses: [Address!]!
  address(id: Int!): Address
  members: [Member!]!
  member(tenant: Int!): Member
  orders: [Order!]!
  order(id: Int!): Order
  profiles: [Profile!]!
  profile(id: Int!): Profile
  users: [User!]!
  user(id: Int!): User
  userByEmail(email: String!): User
  userByTenantAndNick(tenant: Int!, nick: String!): User
}

type Address @relation(name: "address") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  ordersByBillingAddress: [Order!]! @reference(columns: ["id"], target: ["billing_address_id"])
  ordersByShippingAddress: [Order!]! @reference(columns: ["id"], target: ["shipping_address_id"])
}

type Member @relation(name: "member") @write(insert: true, update: true, delete: true, upsert: true) {
  tenant: Int!
  nick: String
  user: User
}

type Order @relation(name: "orders") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  billingAddressId: Int!
  shippingAddressId: Int
  parent: Int
  billingAddress: Address! @reference(columns: ["billing_address_id"], target: ["id"])
  shippingAddress: Address @reference(columns: ["shipping_address_id"], target: ["id"])
  parentOrder: Order
  orders: [Order!]!
}

type Profile @relation(name: "profile") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  bio: String
  user: User!
}

type User @relation(name: "users") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  email: String!
  tenant: Int!
  nick: String
  member: Member
  profile: Profile
}
"#);
    let notes: Vec<String> = output.notes.iter().map(|note| format!("{}: {}", note.what, note.why)).collect();
    insta::assert_snapshot!(notes.join("\n"), @"");
}

#[test]
fn nasty_names_become_valid_ones() {
    let output = proposed(&world(
        r#"
table "query"
  id int4 pk
  type text?
  "Select" text?
  "two words" text?
  "two_words" text?
  "twoWords" text?
  2fa bool
  __typename text?
  _and text?
  _hidden text?
  "größe" numeric?
  "名前" text?
  set int4
  "%%" int4?
  where text?
  "quo\te" text?
table mutation
  id int4 pk
table subscription
  id int4 pk
table String
  id int4 pk
table date
  id int4 pk
table users
  id int4 pk
table user
  id int4 pk
table user_filter
  id int4 pk
table user_list
  id int4 pk
table auth.users
  id int4 pk
  user_id int4 -> users.id
  "user" int4 -> user.id
table media
  id int4 pk
table news
  id int4 pk
table people
  id int4 pk
  mood mood?
  feeling feeling[]?
table mood
  id int4 pk
table empty
table log
  line text?
table tb_thing
  pk_thing int4 pk identity
  id uuid unique default
  fk_user int4 -> users.id
view v_thing
  id uuid from tb_thing.id
  user int4 from tb_thing.fk_user
view v_order updatable
  id int4 from people.id
  mood mood? from people.mood
matview mv_stat
  n int8?
foreign remote
  id int4 pk
partitioned event
  id int8 pk
enum mood happy "not happy" "not_happy" true "" "2 sad" "ok!"
enum feeling.mood a b
enum feeling
"#,
    ));
    insta::assert_snapshot!(body(&output.schema), @r#"
type Query {
  authUsers: [AuthUser!]!
  authUser(id: Int!): AuthUser
  stringRows: [StringRow!]!
  stringRow(id: Int!): StringRow
  dateRows: [DateRow!]!
  dateRow(id: Int!): DateRow
  events: [Event!]!
  event(id: BigInt!): Event
  logs: [Log!]!
  mediaMany: [Media!]!
  media(id: Int!): Media
  moods: [Mood!]!
  mood(id: Int!): Mood
  mutationRows: [MutationRow!]!
  mutationRow(id: Int!): MutationRow
  stats: [Stat!]!
  newsMany: [News!]!
  news(id: Int!): News
  people: [Person!]!
  person(id: Int!): Person
  queryRows: [QueryRow!]!
  queryRow(id: Int!): QueryRow
  remotes: [Remote!]!
  remote(id: Int!): Remote
  subscriptionRows: [SubscriptionRow!]!
  subscriptionRow(id: Int!): SubscriptionRow
  tbThings: [TbThing!]!
  tbThing(pkThing: Int!): TbThing
  tbThingById(id: UUID!): TbThing
  users: [User!]!
  user(id: Int!): User
  userFilterRows: [UserFilterRow!]!
  userFilterRow(id: Int!): UserFilterRow
  userListRows: [UserListRow!]!
  userListRow(id: Int!): UserListRow
  userRows: [UserRow!]!
  userRow(id: Int!): UserRow
  orders: [Order!]!
  order(id: Int!): Order
  vThings: [VThing!]!
}

type AuthUser @relation(name: "users", schema: "auth") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  userId: Int!
  user: Int!
  userUser: User!
  userUserRow: UserRow!
}

type StringRow @relation(name: "String") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type DateRow @relation(name: "date") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type Event @relation(name: "event") @write(insert: true, update: true, delete: true, upsert: true) {
  id: BigInt!
}

type Log @relation(name: "log") {
  line: String
}

type Media @relation(name: "media") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type Mood @relation(name: "mood") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type MutationRow @relation(name: "mutation") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type Stat @relation(name: "mv_stat") {
  n: BigInt
}

type News @relation(name: "news") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type Person @relation(name: "people") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  mood: MoodEnum
  feeling: [String]
}

type QueryRow @relation(name: "query") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  type: String
  select: String @column(name: "Select")
  twoWords: String @column(name: "two words")
  twoWords2: String @column(name: "two_words")
  twoWords3: String @column(name: "twoWords")
  _2fa: Boolean! @column(name: "2fa")
  typename: String @column(name: "__typename")
  and: String @column(name: "_and")
  hidden: String @column(name: "_hidden")
  groesse: Decimal @column(name: "größe")
  u540dU524d: String @column(name: "名前")
  set: Int!
  column: Int @column(name: "%%")
  where: String
  quoTe: String @column(name: "quo\\te")
}

type Remote @relation(name: "remote") @write(insert: true, update: true, delete: true) {
  id: Int!
}

type SubscriptionRow @relation(name: "subscription") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type TbThing @relation(name: "tb_thing") @write(insert: true, update: true, delete: true, upsert: true) {
  pkThing: Int!
  id: UUID!
  fkUser: Int!
  user: UserRow!
}

type User @relation(name: "user") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  authUsers: [AuthUser!]!
}

type UserFilterRow @relation(name: "user_filter") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type UserListRow @relation(name: "user_list") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
}

type UserRow @relation(name: "users") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  authUsers: [AuthUser!]!
  tbThings: [TbThing!]!
}

type Order @relation(name: "v_order") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int!
  mood: MoodEnum
}

type VThing @relation(name: "v_thing") {
  id: UUID!
  user: Int!
  userUserRow: UserRow!
}

enum MoodEnum @enum(name: "mood") {
  happy
  not_happy2 @label(name: "not happy")
  not_happy
  _true @label(name: "true")
  value @label(name: "")
  _2_sad @label(name: "2 sad")
  ok @label(name: "ok!")
}

"A whole number of 64 bits, as a string."
scalar BigInt

"A decimal number of any size, as a string."
scalar Decimal

"A UUID: 123e4567-e89b-12d3-a456-426614174000."
scalar UUID @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc9562")
"#);
    let notes: Vec<String> = output.notes.iter().map(|note| format!("{}: {}", note.what, note.why)).collect();
    insta::assert_snapshot!(notes.join("\n"), @r#"
table public.empty: it has no column that this role may read and GraphQL can show
inserts, updates, deletes and upserts of public.log: public.log has no key to find written rows again by
upserts of public.remote: public.remote cannot be upserted
"#);
}

#[test]
fn every_type_has_its_place() {
    let output = proposed(&world(
        "
domain email = citext
domain positive = int4
domain tags = text[]
composite address street text city text
range period timestamptz
enum mood sad ok
table sample
  a bool pk
  b int2
  c int8
  d float4
  e numeric
  f bpchar
  g name
  h citext
  i uuid
  j timestamptz
  k timestamp
  l date
  m time
  n timetz
  o interval
  p json
  q jsonb
  r bytea
  s int4range
  t tstzrange
  u inet
  v xml
  w money
  x mood
  y mood[]
  z email
  aa positive[]
  ab tags
  ac address
  ad period
  ae int4[]
  af hstore
  ag geometry
  ah tags[]
",
    ));
    insta::assert_snapshot!(body(&output.schema), @r#"
type Query {
  samples: [Sample!]!
  sample(a: Boolean!): Sample
}

type Sample @relation(name: "sample") @write(update: true, delete: true) {
  a: Boolean!
  b: Int!
  c: BigInt!
  d: Float!
  e: Decimal!
  f: String!
  g: String!
  h: String!
  i: UUID!
  j: DateTime!
  k: LocalDateTime!
  l: Date!
  m: Time!
  n: Time!
  o: Interval!
  p: JSON!
  q: JSON!
  r: Bytes!
  s: Int4Range!
  t: TstzRange!
  u: String!
  v: String!
  w: String!
  x: Mood!
  y: [Mood]!
  z: String!
  aa: [Int]!
  ab: [String]!
  ac: JSON!
  ad: String!
  ae: [Int]!
  af: String!
  ag: String!
}

enum Mood {
  sad
  ok
}

"A whole number of 64 bits, as a string."
scalar BigInt

"Bytes in base64, with padding."
scalar Bytes @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc4648")

"A date: 2026-01-31."
scalar Date @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc3339")

"An instant: 2026-01-31T23:59:59+00:00."
scalar DateTime @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc3339")

"A decimal number of any size, as a string."
scalar Decimal

"A range of whole numbers of 32 bits: [1,10)."
scalar Int4Range

"A length of time in ISO 8601: P1DT2H."
scalar Interval

"Any JSON value."
scalar JSON @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc8259")

"A date and time without a zone: 2026-01-31T23:59:59."
scalar LocalDateTime

"A time of day: 23:59:59, with an offset where the column has one."
scalar Time

"A range of instants."
scalar TstzRange

"A UUID: 123e4567-e89b-12d3-a456-426614174000."
scalar UUID @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc9562")
"#);
    assert_eq!(output.notes[0].what, "column public.sample.ah");
}

#[test]
fn two_hundred_tables() {
    let mut text = String::new();
    for at in 0..200 {
        let next = (at * 7 + 3) % 200;
        text.push_str(&format!(
            "table thing_{at}\n  id int8 pk identity\n  name text?\n  owner_id int8 -> thing_{next}.id index\n  \
             other int8? -> thing_{next}.id\n  code text unique\n"
        ));
    }
    let output = proposed(&world(&text));
    assert_eq!(output.schema.matches("@relation").count(), 200);
}
