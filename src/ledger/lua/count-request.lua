-- Counts one request of an account in the running minute. KEYS[1] tag. ARGV[1] account holder, ARGV[2] requests per minute.
-- Returns milliseconds to wait, 0 when it is within the limit
return count_request(ARGV[1], tonumber(ARGV[2]), now_ms())
