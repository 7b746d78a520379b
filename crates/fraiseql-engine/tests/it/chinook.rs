//! Answers over Chinook, compared with SQL that was written by hand for the same question.

use crate::world::World;

async fn world() -> World {
    World::chinook().await
}

#[tokio::test]
async fn lists_and_lookups() {
    let w = world().await;
    w.check("{artists{artistId name}}", "{}", "select json_build_object('artists', (select json_agg(json_build_object('artistId', artist_id, 'name', name)) from artist))").await;
    w.check("{artist(artistId:1){name}}", "{}", "select json_build_object('artist', (select json_build_object('name', name) from artist where artist_id = 1))").await;
    w.check("{artist(artistId:999999){name}}", "{}", "select json_build_object('artist', null)").await;
    w.check("query($id:Int!){artist(artistId:$id){name}}", r#"{"id":22}"#, "select json_build_object('artist', (select json_build_object('name', name) from artist where artist_id = 22))").await;
    w.check(
        "{playlistTrack(playlistId:1,trackId:3402){playlistId trackId}}",
        "{}",
        "select json_build_object('playlistTrack', json_build_object('playlistId', 1, 'trackId', 3402))",
    )
    .await;
    w.check("{a:artist(artistId:1){n:name} b:artist(artistId:2){n:name} __typename}", "{}", "select json_build_object('a', (select json_build_object('n', name) from artist where artist_id=1), 'b', (select json_build_object('n', name) from artist where artist_id=2), '__typename', 'Query')").await;
    w.check(
        "{artist(artistId:1){__typename artistId}}",
        "{}",
        "select json_build_object('artist', json_build_object('__typename','Artist','artistId',1))",
    )
    .await;
}

#[tokio::test]
async fn paging_and_order() {
    let w = world().await;
    w.check("{artists(limit:3,offset:2){artistId}}", "{}", "select json_build_object('artists', (select json_agg(json_build_object('artistId', artist_id)) from (select * from artist order by artist_id limit 3 offset 2) t))").await;
    w.check("{artists(limit:0){artistId}}", "{}", "select json_build_object('artists', '[]'::json)").await;
    w.check("{artists(orderBy:{name:DESC},limit:5){name}}", "{}", "select json_build_object('artists', (select json_agg(json_build_object('name', name)) from (select * from artist order by name desc limit 5) t))").await;
    w.check("{tracks(orderBy:[{composer:ASC_NULLS_FIRST},{trackId:DESC}],limit:20){trackId composer}}", "{}", "select json_build_object('tracks', (select json_agg(json_build_object('trackId', track_id, 'composer', composer)) from (select * from track order by composer asc nulls first, track_id desc limit 20) t))").await;
    w.check("{tracks(orderBy:[{composer:DESC_NULLS_LAST},{trackId:ASC}],limit:20){trackId}}", "{}", "select json_build_object('tracks', (select json_agg(json_build_object('trackId', track_id)) from (select * from track order by composer desc nulls last, track_id limit 20) t))").await;
    w.check("{albums(orderBy:[{artist:{name:ASC}},{title:DESC}],limit:30){title artist{name}}}", "{}", "select json_build_object('albums', (select json_agg(json_build_object('title', title, 'artist', json_build_object('name', name))) from (select title, name from album join artist using (artist_id) order by name, title desc limit 30) t))").await;
    w.check("{tracks(orderBy:[{album:{artist:{name:DESC}}},{trackId:ASC}],limit:10,offset:5){trackId}}", "{}", "select json_build_object('tracks', (select json_agg(json_build_object('trackId', track_id)) from (select track_id from track join album using(album_id) join artist using (artist_id) order by artist.name desc, track_id limit 10 offset 5) t))").await;
    w.check("query($o:[TrackOrderBy!],$l:Int,$s:Int){tracks(orderBy:$o,limit:$l,offset:$s){trackId}}", r#"{"o":[{"milliseconds":"DESC"}],"l":2,"s":1}"#, "select json_build_object('tracks', (select json_agg(json_build_object('trackId', track_id)) from (select * from track order by milliseconds desc limit 2 offset 1) t))").await;
}

#[tokio::test]
async fn nesting() {
    let w = world().await;
    w.check("{artists(orderBy:{artistId:ASC},limit:10){name albums(orderBy:{albumId:ASC}){title tracks(orderBy:{trackId:ASC},limit:2){name genre{name} mediaType{name}}}}}", "{}",
        "select json_build_object('artists', (select json_agg(json_build_object('name', a.name, 'albums', (select coalesce(json_agg(json_build_object('title', b.title, 'tracks', (select coalesce(json_agg(json_build_object('name', t.name, 'genre', (select json_build_object('name', g.name) from genre g where g.genre_id = t.genre_id), 'mediaType', (select json_build_object('name', m.name) from media_type m where m.media_type_id = t.media_type_id)) order by t.track_id), '[]') from (select * from track where album_id = b.album_id order by track_id limit 2) t)) order by b.album_id), '[]') from album b where b.artist_id = a.artist_id)) order by a.artist_id) from (select * from artist order by artist_id limit 10) a))").await;
    w.check("{customers(orderBy:{customerId:ASC}){customerId invoices(orderBy:{invoiceId:ASC}){invoiceId total invoiceLines(orderBy:{invoiceLineId:ASC}){quantity track{name album{artist{name}}}}}}}", "{}",
        "select json_build_object('customers', (select json_agg(json_build_object('customerId', customer_id, 'invoices', (select coalesce(json_agg(json_build_object('invoiceId', invoice_id, 'total', total::text, 'invoiceLines', (select coalesce(json_agg(json_build_object('quantity', quantity, 'track', (select json_build_object('name', t.name, 'album', json_build_object('artist', json_build_object('name', ar.name))) from track t join album al using(album_id) join artist ar using (artist_id) where t.track_id = l.track_id)) order by invoice_line_id), '[]') from invoice_line l where l.invoice_id = i.invoice_id)) order by invoice_id), '[]') from invoice i where i.customer_id = c.customer_id)) order by customer_id) from customer c))").await;
    w.check("{artists(where:{albums:{none:{}}},orderBy:{artistId:ASC},limit:2){artistId albums{title}}}", "{}", "select json_build_object('artists', (select json_agg(json_build_object('artistId', artist_id, 'albums', '[]'::json)) from (select * from artist a where not exists (select 1 from album b where b.artist_id = a.artist_id) order by artist_id limit 2) t))").await;
    w.check("{albums(limit:5,orderBy:{albumId:ASC}){artist{albums(orderBy:{albumId:ASC}){artist{artistId}}}}}", "{}", "select json_build_object('albums', (select json_agg(json_build_object('artist', json_build_object('albums', (select json_agg(json_build_object('artist', json_build_object('artistId', y.artist_id)) order by y.album_id) from album y where y.artist_id = x.artist_id))) order by x.album_id) from (select * from album order by album_id limit 5) x))").await;
    w.check("{artist(artistId:90){albums(where:{title:{icontains:\"live\"}},orderBy:{albumId:DESC},limit:3,offset:1){title}}}", "{}", "select json_build_object('artist', json_build_object('albums', (select json_agg(json_build_object('title', title)) from (select title from album where artist_id = 90 and title ilike '%live%' order by album_id desc limit 3 offset 1) t)))").await;
}

#[tokio::test]
async fn comparison_operators() {
    let w = world().await;
    for (filter, sql) in [
        ("trackId:{eq:5}", "track_id = 5"),
        ("trackId:{neq:5}", "track_id <> 5"),
        ("trackId:{gt:3500}", "track_id > 3500"),
        ("trackId:{gte:3500}", "track_id >= 3500"),
        ("trackId:{lt:5}", "track_id < 5"),
        ("trackId:{lte:5}", "track_id <= 5"),
        ("trackId:{in:[1,2,3]}", "track_id in (1,2,3)"),
        ("trackId:{in:[]}", "false"),
        ("trackId:{in:7}", "track_id = 7"),
        ("genreId:{nin:[1,2,3]}", "genre_id not in (1,2,3)"),
        ("genreId:{nin:[]}", "true"),
        ("composer:{isnull:true}", "composer is null"),
        ("composer:{isnull:false}", "composer is not null"),
        ("trackId:{gt:10,lt:20}", "track_id > 10 and track_id < 20"),
        ("trackId:{}", "true"),
        ("unitPrice:{eq:\"1.99\"}", "unit_price = 1.99"),
        ("unitPrice:{gt:0.99}", "unit_price > 0.99"),
        ("composer:{neq:\"AC/DC\"}", "composer <> 'AC/DC'"),
    ] {
        w.check_filter("tracks", "trackId", "track", "track_id", filter, sql).await;
    }
}

#[tokio::test]
async fn text_operators() {
    let w = world().await;
    for (filter, sql) in [
        ("name:{contains:\"Rock\"}", "position('Rock' in name) > 0"),
        ("name:{icontains:\"rOcK\"}", "position('rock' in lower(name)) > 0"),
        ("name:{startswith:\"The\"}", "left(name, 3) = 'The'"),
        ("name:{istartswith:\"the\"}", "lower(left(name, 3)) = 'the'"),
        ("name:{endswith:\"Love\"}", "right(name, 4) = 'Love'"),
        ("name:{iendswith:\"love\"}", "lower(right(name, 4)) = 'love'"),
        ("name:{like:\"%a_b%\"}", "name like '%a_b%'"),
        ("name:{ilike:\"b%\"}", "name ilike 'b%'"),
        ("name:{nlike:\"%a%\"}", "name not like '%a%'"),
        ("name:{nilike:\"%a%\"}", "name not ilike '%a%'"),
        ("name:{regex:\"^[A-C].*e$\"}", "name ~ '^[A-C].*e$'"),
        ("name:{iregex:\"^a+\"}", "name ~* '^a+'"),
        ("name:{nregex:\"[aeiou]\"}", "name !~ '[aeiou]'"),
        ("name:{niregex:\"[aeiou]\"}", "name !~* '[aeiou]'"),
        ("name:{contains:\"%\"}", "position('%' in name) > 0"),
        ("name:{contains:\"_\"}", "position('_' in name) > 0"),
        ("name:{contains:\"\\\\\"}", "position(chr(92) in name) > 0"),
        ("name:{eq:\"\"}", "name = ''"),
        ("name:{eq:\"Não Vou Ficar\"}", "name = 'Não Vou Ficar'"),
        ("name:{contains:\"ç\"}", "position('ç' in name) > 0"),
        ("name:{contains:\"'\"}", "position('''' in name) > 0"),
        ("name:{contains:\"\\\"\"}", "position('\"' in name) > 0"),
    ] {
        w.check_filter("tracks", "trackId", "track", "track_id", filter, sql).await;
    }
}

#[tokio::test]
async fn logic_and_relations_in_filters() {
    let w = world().await;
    for (filter, sql) in [
        ("_and:[{trackId:{gt:5}},{trackId:{lt:9}}]", "track_id > 5 and track_id < 9"),
        ("_or:[{trackId:{eq:5}},{trackId:{eq:9}}]", "track_id = 5 or track_id = 9"),
        ("_or:[]", "false"),
        ("_and:[]", "true"),
        ("_not:{trackId:{gt:5}}", "not track_id > 5"),
        ("_not:{_or:[{trackId:{gt:5}},{composer:{isnull:true}}]}", "not (track_id > 5 or composer is null)"),
        (
            "_or:[{_and:[{trackId:{gt:5}},{trackId:{lt:9}}]},{trackId:{eq:1}}],genreId:{eq:1}",
            "((track_id > 5 and track_id < 9) or track_id = 1) and genre_id = 1",
        ),
        (
            "album:{title:{startswith:\"B\"}}",
            "album_id in (select album_id from album where title like 'B%')",
        ),
        (
            "album:{artist:{name:{eq:\"AC/DC\"}}}",
            "album_id in (select album_id from album join artist using (artist_id) where name = 'AC/DC')",
        ),
        (
            "invoiceLines:{some:{quantity:{gte:1}}}",
            "exists (select 1 from invoice_line l where l.track_id = t.track_id and quantity >= 1)",
        ),
        ("invoiceLines:{none:{}}", "not exists (select 1 from invoice_line l where l.track_id = t.track_id)"),
        (
            "invoiceLines:{every:{unitPrice:{gt:\"1\"}}}",
            "not exists (select 1 from invoice_line l where l.track_id = t.track_id and not unit_price > 1)",
        ),
        (
            "invoiceLines:{some:{invoice:{customer:{country:{eq:\"Brazil\"}}}},none:{invoice:{customer:{country:{eq:\"USA\"}}}}}",
            "exists (select 1 from invoice_line l join invoice using (invoice_id) join customer using (customer_id) where l.track_id = t.track_id and country = 'Brazil') and not exists (select 1 from invoice_line l join invoice using (invoice_id) join customer using (customer_id) where l.track_id = t.track_id and country = 'USA')",
        ),
        (
            "_not:{invoiceLines:{some:{}}}",
            "not exists (select 1 from invoice_line l where l.track_id = t.track_id)",
        ),
    ] {
        w.check_filter("tracks", "trackId", "track t", "track_id", filter, sql).await;
    }
    // `every` holds only for rows of which the condition is known to be true.
    w.check_filter("artists", "artistId", "artist a", "artist_id", "albums:{every:{tracks:{every:{composer:{isnull:false}}}}}", "not exists (select 1 from album b where b.artist_id = a.artist_id and exists (select 1 from track t where t.album_id = b.album_id and composer is null))").await;
}

#[tokio::test]
async fn filters_by_variables() {
    let w = world().await;
    let query = "query($f:TrackFilter){tracks(where:$f,orderBy:{trackId:ASC}){trackId}}";
    let expect = |sql: &str| {
        format!(
            "select json_build_object('tracks', coalesce((select json_agg(json_build_object('trackId', track_id) order by track_id) from track where {sql}), '[]'))"
        )
    };
    w.check(query, r#"{"f":{"trackId":{"in":[3,1,2]}}}"#, &expect("track_id in (1,2,3)")).await;
    w.check(
        query,
        r#"{"f":{"_or":[{"name":{"contains":"Rock"}},{"album":{"title":{"like":"L%"}}}]}}"#,
        &expect("name like '%Rock%' or album_id in (select album_id from album where title like 'L%')"),
    )
    .await;
    w.check(query, "{}", &expect("true")).await;
    w.check(query, r#"{"f":null}"#, &expect("true")).await;
    w.check(
        "query($a:Int!,$b:Int!){tracks(where:{trackId:{in:[$a,7,$b]}},orderBy:{trackId:ASC}){trackId}}",
        r#"{"a":5,"b":9}"#,
        &expect("track_id in (5,7,9)"),
    )
    .await;
    w.check(
        "query($n:String!){tracks(where:{name:{contains:$n}},orderBy:{trackId:ASC}){trackId}}",
        r#"{"n":"100%"}"#,
        &expect("position('100%' in name) > 0"),
    )
    .await;
}

#[tokio::test]
async fn fragments_aliases_and_directives() {
    let w = world().await;
    w.check("query{artists(limit:2){...A ... on Artist{name}}} fragment A on Artist{artistId albums(limit:1,orderBy:{albumId:ASC}){...B}} fragment B on Album{title}", "{}",
        "select json_build_object('artists', (select json_agg(json_build_object('artistId', artist_id, 'albums', (select json_agg(json_build_object('title', title)) from (select title from album b where b.artist_id = a.artist_id order by album_id limit 1) x), 'name', name)) from (select * from artist order by artist_id limit 2) a))").await;
    w.check("{artist(artistId:1){albums(orderBy:{albumId:ASC}){title} albums(orderBy:{albumId:ASC}){albumId}}}", "{}", "select json_build_object('artist', json_build_object('albums', (select json_agg(json_build_object('title', title, 'albumId', album_id) order by album_id) from album where artist_id = 1)))").await;
    w.check("query($y:Boolean!,$n:Boolean!){artist(artistId:1){name @include(if:$y) artistId @include(if:$n) x:name @skip(if:$y) z:name @skip(if:$n)}}", r#"{"y":true,"n":false}"#, "select json_build_object('artist', json_build_object('name', 'AC/DC', 'z', 'AC/DC'))").await;
    w.check(
        "{artist(artistId:1){name @skip(if:true)}}",
        "{}",
        "select json_build_object('artist', '{}'::json)",
    )
    .await;
    w.check("{artist(artistId:1) @skip(if:true){name}}", "{}", "select '{}'::json").await;
    for length in [62, 63, 64, 65, 200] {
        let alias = "a".repeat(length);
        w.check(
            &format!("{{artist(artistId:1){{{alias}:name}}}}"),
            "{}",
            &format!("select json_build_object('artist', json_build_object('{alias}', 'AC/DC'))"),
        )
        .await;
        w.check(&format!("{{{alias}:artists(limit:1){{{alias}:albums(limit:1,orderBy:{{albumId:ASC}}){{{alias}:title {alias}b:artist{{{alias}:name}}}}}}}}"), "{}", &format!("select json_build_object('{alias}', json_build_array(json_build_object('{alias}', json_build_array(json_build_object('{alias}', title, '{alias}b', json_build_object('{alias}', 'AC/DC')))))) from album where artist_id = 1 order by album_id limit 1")).await;
    }
    let wide: String = (0..1_700).map(|index| format!("c{index}:name ")).collect();
    let keys: String = (0..1_700).map(|index| format!("('c{index}')")).collect::<Vec<_>>().join(",");
    w.check(&format!("{{artist(artistId:1){{{wide}}}}}"), "{}", &format!("select json_build_object('artist', (select json_object_agg(k, 'AC/DC') from (values {keys}) v(k)))")).await;
}

#[tokio::test]
async fn self_references_and_several_keys_to_one_table() {
    let w = world().await;
    w.check("{employee(employeeId:6){firstName reportsToEmployee{firstName reportsToEmployee{firstName reportsToEmployee{firstName}}}}}", "{}", "select '{\"employee\":{\"firstName\":\"Michael\",\"reportsToEmployee\":{\"firstName\":\"Andrew\",\"reportsToEmployee\":null}}}'::json").await;
    w.check("{customers(where:{customerId:{lte:3}},orderBy:{customerId:ASC}){supportRep{lastName}}}", "{}", "select json_build_object('customers', (select json_agg(json_build_object('supportRep', (select json_build_object('lastName', last_name) from employee where employee_id = support_rep_id)) order by customer_id) from customer where customer_id <= 3))").await;
}

#[tokio::test]
async fn values_travel_whole() {
    let w = world().await;
    w.execute(
        "insert into artist values (9001, E'quote '' double \" back\\\\slash \\n tab\\t \\u0001 🎸 ünïcode')",
    )
    .await;
    w.execute("insert into artist select g, 'artist ' || g from generate_series(10001, 20000) g").await;
    w.check("{artist(artistId:9001){name}}", "{}", "select json_build_object('artist', json_build_object('name', (select name from artist where artist_id = 9001)))").await;
    w.check("{artists(where:{artistId:{gt:10000}},orderBy:{artistId:ASC}){artistId name}}", "{}", "select json_build_object('artists', (select json_agg(json_build_object('artistId', artist_id, 'name', name) order by artist_id) from artist where artist_id > 10000))").await;
    w.check("{invoices(limit:3,orderBy:{invoiceId:ASC}){invoiceDate total}}", "{}", "select json_build_object('invoices', (select json_agg(json_build_object('invoiceDate', to_char(invoice_date, 'YYYY-MM-DD\"T\"HH24:MI:SS'), 'total', total::text) order by invoice_id) from (select * from invoice order by invoice_id limit 3) i))").await;
    w.check_filter(
        "invoices",
        "invoiceId",
        "invoice",
        "invoice_id",
        "invoiceDate:{gte:\"2022-01-01T00:00:00\",lt:\"2022-06-01\"}",
        "invoice_date >= '2022-01-01' and invoice_date < '2022-06-01'",
    )
    .await;
}

#[tokio::test]
async fn injection_finds_no_way_in() {
    let w = world().await;
    let before = w.scalar("select count(*)::text from artist").await;
    for attack in [
        "'; drop table artist; --",
        "\\'; drop table artist; --",
        "$1",
        "\" or 1=1 --",
        "') or true --",
        "{\"a\",\"b\"}",
        "%' or '1'='1",
    ] {
        let variables = serde_json::json!({ "a": attack, "l": [attack, attack] }).to_string();
        let literal = attack.replace('\'', "''");
        for operator in ["eq", "like", "contains", "startswith", "iendswith"] {
            let query = format!("query($a:String!){{artists(where:{{name:{{{operator}:$a}}}}){{name}}}}");
            w.check(&query, &variables, "select '{\"artists\":[]}'::json").await;
        }
        w.check(
            "query($l:[String!]){artists(where:{name:{in:$l}}){name}}",
            &variables,
            "select '{\"artists\":[]}'::json",
        )
        .await;
        let quoted = serde_json::to_string(attack).expect("a string");
        w.check(&format!("{{artists(where:{{name:{{eq:{quoted}}}}}){{name}}}}"), "{}", &format!("select json_build_object('artists', coalesce((select json_agg(json_build_object('name', name)) from artist where name = '{literal}'), '[]'))")).await;
    }
    assert_eq!(w.scalar("select count(*)::text from artist").await, before);
}
