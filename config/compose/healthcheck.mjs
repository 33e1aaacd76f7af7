// The container's health. HALLPASS_HEALTH_URL is asked; 200 is well. HALLPASS_HEALTH_ABSENT names a problem that must not
// be listed there instead: a worker serves nothing itself, but the broker's /readyz says `no_worker` when none sweeps.
const url = process.env.HALLPASS_HEALTH_URL ?? 'http://127.0.0.1:8700/healthz'
const absent = process.env.HALLPASS_HEALTH_ABSENT

try {
  const response = await fetch(url, { signal: AbortSignal.timeout(3000) })
  const body = await response.json()
  const well = absent ? body.problems !== undefined && !Object.hasOwn(body.problems, absent) : response.ok
  if (!well) console.error(`${url}: ${response.status} ${JSON.stringify(body)}`)
  process.exitCode = well ? 0 : 1
} catch (error) {
  console.error(`${url}: ${error.cause?.message ?? error.message}`)
  process.exitCode = 1
}
