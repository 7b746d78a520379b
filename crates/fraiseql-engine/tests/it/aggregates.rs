//! Aggregates, groups and `distinctOn` on Chinook, against SQL written by hand.

use crate::world::World;

#[tokio::test]
async fn aggregates_over_whole_lists() {
    let w = World::chinook().await;
    w.check("{tracksAggregate{count}}", "{}", "select json_build_object('tracksAggregate', json_build_object('count', (select count(*) from track)))").await;
    w.check(
        "{t:tracksAggregate(where:{genre:{name:{eq:\"Jazz\"}}}){n:count composers:count(distinct:[composer]) pairs:count(distinct:[composer,albumId]) sum{milliseconds unitPrice} avg{milliseconds unitPrice} stddev{bytes} min{name milliseconds} max{unitPrice trackId} __typename}}",
        "{}",
        "select json_build_object('t', (select json_build_object('n', count(*), 'composers', count(distinct composer), 'pairs', (select count(*) from (select distinct composer, album_id from track join genre g using (genre_id) where g.name = 'Jazz') d), 'sum', json_build_object('milliseconds', sum(milliseconds)::text, 'unitPrice', sum(unit_price)::text), 'avg', json_build_object('milliseconds', avg(milliseconds)::text, 'unitPrice', avg(unit_price)::text), 'stddev', json_build_object('bytes', stddev(bytes)::text), 'min', json_build_object('name', min(t.name), 'milliseconds', min(milliseconds)), 'max', json_build_object('unitPrice', max(unit_price)::text, 'trackId', max(track_id)), '__typename', 'TrackAggregate') from track t join genre g using (genre_id) where g.name = 'Jazz'))",
    )
    .await;
    w.check("{tracksAggregate(where:{trackId:{lt:0}}){count sum{milliseconds} max{name}}}", "{}", "select '{\"tracksAggregate\":{\"count\":0,\"sum\":{\"milliseconds\":null},\"max\":{\"name\":null}}}'::json").await;
    w.check(
        "{tracksAggregate{__typename}}",
        "{}",
        "select '{\"tracksAggregate\":{\"__typename\":\"TrackAggregate\"}}'::json",
    )
    .await;
    w.check("query($w:TrackFilter,$d:[TrackColumn!]){tracksAggregate(where:$w){count(distinct:$d)}}", r#"{"w":{"milliseconds":{"gt":300000}},"d":["genreId"]}"#, "select json_build_object('tracksAggregate', json_build_object('count', (select count(distinct genre_id) from track where milliseconds > 300000)))").await;
    w.check("{artistsAggregate{estimatedCount} small:artistsAggregate(where:{artistId:{lte:10}}){estimatedCount}}", "{}", "select '{\"artistsAggregate\":{\"estimatedCount\":275},\"small\":{\"estimatedCount\":10}}'::json").await;
}

#[tokio::test]
async fn aggregates_below_rows() {
    let w = World::chinook().await;
    w.check(
        "{artists(orderBy:{artistId:ASC},limit:20){name albumsAggregate{count} live:albumsAggregate(where:{title:{icontains:\"live\"}}){count max{title}}}}",
        "{}",
        "select json_build_object('artists', (select json_agg(json_build_object('name', name, 'albumsAggregate', json_build_object('count', (select count(*) from album b where b.artist_id = a.artist_id)), 'live', (select json_build_object('count', count(*), 'max', json_build_object('title', max(title))) from album b where b.artist_id = a.artist_id and title ilike '%live%')) order by artist_id) from (select * from artist order by artist_id limit 20) a))",
    )
    .await;
    w.check(
        "{customer(customerId:5){invoicesAggregate{sum{total}} invoices(limit:2,orderBy:{invoiceId:ASC}){invoiceLinesAggregate{count sum{quantity}}}}}",
        "{}",
        "select json_build_object('customer', json_build_object('invoicesAggregate', (select json_build_object('sum', json_build_object('total', sum(total)::text)) from invoice where customer_id = 5), 'invoices', (select json_agg(json_build_object('invoiceLinesAggregate', (select json_build_object('count', count(*), 'sum', json_build_object('quantity', sum(quantity)::text)) from invoice_line l where l.invoice_id = i.invoice_id)) order by invoice_id) from (select * from invoice where customer_id = 5 order by invoice_id limit 2) i)))",
    )
    .await;
}

#[tokio::test]
async fn groups() {
    let w = World::chinook().await;
    w.check(
        "{tracksGroups(by:[genreId]){key{genreId composer} count avg{milliseconds}}}",
        "{}",
        "select json_build_object('tracksGroups', (select json_agg(json_build_object('key', json_build_object('genreId', genre_id, 'composer', null), 'count', n, 'avg', json_build_object('milliseconds', a::text)) order by genre_id) from (select genre_id, count(*) n, avg(milliseconds) a from track group by genre_id) g))",
    )
    .await;
    w.check(
        "{invoicesGroups(by:[billingCountry,billingCity],where:{total:{gt:\"1\"}},having:{count:{gte:3},sum:{total:{gt:\"10\"}},_or:[{min:{total:{lt:\"2\"}}},{max:{invoiceDate:{gt:\"2013-01-01T00:00:00\"}}}]},orderBy:[{sum:{total:DESC}},{key:{billingCity:ASC}}],limit:5,offset:1){key{billingCountry billingCity} count sum{total}}}",
        "{}",
        "select json_build_object('invoicesGroups', (select json_agg(json_build_object('key', json_build_object('billingCountry', billing_country, 'billingCity', billing_city), 'count', n, 'sum', json_build_object('total', s::text)) order by s desc, billing_city, billing_country) from (select billing_country, billing_city, count(*) n, sum(total) s from invoice where total > 1 group by 1, 2 having count(*) >= 3 and sum(total) > 10 and (min(total) < 2 or max(invoice_date) > '2013-01-01') order by 4 desc, 2, 1 limit 5 offset 1) g))",
    )
    .await;
    w.check(
        "{customers(where:{customerId:{lte:4}},orderBy:{customerId:ASC}){invoicesGroups(by:billingCountry){count}}}",
        "{}",
        "select json_build_object('customers', (select json_agg(json_build_object('invoicesGroups', (select json_agg(json_build_object('count', n) order by billing_country) from (select billing_country, count(*) n from invoice i where i.customer_id = c.customer_id group by 1) g)) order by customer_id) from customer c where customer_id <= 4))",
    )
    .await;
    w.check(
        "{tracksGroups(by:[genreId],where:{trackId:{lt:0}}){count}}",
        "{}",
        "select '{\"tracksGroups\":[]}'::json",
    )
    .await;
}

#[tokio::test]
async fn groups_that_cannot_be() {
    let w = World::chinook().await;
    w.refuse("{tracksGroups(by:[]){count}}", "BAD_USER_INPUT: \"by\" must name at least one column").await;
    w.refuse(
        "{tracksGroups(by:[genreId],orderBy:{key:{albumId:ASC}}){count}}",
        "BAD_USER_INPUT: groups can be ordered by \"albumId\" only when \"by\" has it",
    )
    .await;
    w.refuse(
        "{tracksGroups(by:[genreId],having:{count:{gt:null}}){count}}",
        "BAD_USER_INPUT: \"gt\" must not be null; use {isnull: true} to find nulls",
    )
    .await;
}

#[tokio::test]
async fn the_first_of_rows_that_are_alike() {
    let w = World::chinook().await;
    w.check(
        "{tracks(distinctOn:[genreId]){genreId}}",
        "{}",
        "select json_build_object('tracks', (select json_agg(json_build_object('genreId', genre_id) order by genre_id) from (select distinct genre_id from track) t))",
    )
    .await;
    w.check(
        "{tracks(distinctOn:[genreId],orderBy:[{milliseconds:DESC},{trackId:ASC}],limit:4,offset:1){name genre{name} album{title}}}",
        "{}",
        "select json_build_object('tracks', (select json_agg(json_build_object('name', t.name, 'genre', json_build_object('name', g.name), 'album', json_build_object('title', title)) order by milliseconds desc, track_id) from (select * from (select distinct on (genre_id) * from track order by genre_id, milliseconds desc, track_id) d order by milliseconds desc, track_id limit 4 offset 1) t join genre g using (genre_id) join album using (album_id)))",
    )
    .await;
    w.check(
        "{artist(artistId:90){albums(orderBy:{title:ASC},limit:2){tracks(distinctOn:[unitPrice,mediaTypeId],orderBy:{trackId:DESC}){trackId}}}}",
        "{}",
        "select json_build_object('artist', json_build_object('albums', (select json_agg(json_build_object('tracks', (select json_agg(json_build_object('trackId', track_id) order by track_id desc) from (select distinct on (unit_price, media_type_id) track_id from track t where t.album_id = a.album_id order by unit_price, media_type_id, track_id desc) t)) order by title) from (select * from album where artist_id = 90 order by title limit 2) a)))",
    )
    .await;
}
