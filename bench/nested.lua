-- wrk: 20 users x 5 posts x 3 comments with their authors, about 50 KB, from a random place on.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local query = "query($id:Int!){users(where:{id:{gte:$id}},orderBy:{id:ASC},limit:20){id name posts{id title body comments{id body author{id name}}}}}"
request = function()
  local body = string.format('{"query":"%s","variables":{"id":%d}}', query, math.random(1, 9900))
  return wrk.format(nil, "/graphql", nil, body)
end
