-- wrk: a user by key, a random one each time.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local query = "query($id:Int!){user(id:$id){id name email}}"
request = function()
  local body = string.format('{"query":"%s","variables":{"id":%d}}', query, math.random(1, 10000))
  return wrk.format(nil, "/graphql", nil, body)
end
