// What a change on disk cannot bring, since it is made when a program starts.
import type { LoadedConfig } from '../config/load.js'
import { ConfigError } from '../config/problems.js'
import type { Settings } from '../config/schema.js'

/**
 * A grant of a provider that does not run here, or runs as another type, could only fail at each request: such a change is
 * refused whole, with its place, and a restart takes it. Throws ConfigError.
 */
export function checkRunning(
  { settings, problemAt }: LoadedConfig,
  { providers: running }: Pick<Settings, 'providers'>,
): void {
  const problems = Object.values(settings.grants).flatMap(({ action, provider }) => {
    const runs = Object.hasOwn(running, provider) ? running[provider] : undefined
    if (runs !== undefined && runs.type === settings.providers[provider]?.type) return []
    const why = runs === undefined ? 'does not run here' : `runs here as ${runs.type}`
    return [
      problemAt(['grants', action, 'provider'], `${provider} ${why}: providers are made at start, so restart for it`),
    ]
  })
  if (problems.length > 0) throw new ConfigError(problems)
}

/** What a reload takes; everything else was read once. */
const reloaded: ReadonlySet<string> = new Set([
  ...['policies', 'policy_change', 'issuers', 'groups', 'resources', 'grants', 'limits'],
])

/** The sections that were changed and count only after a restart; whoever changed them is to be told. */
export function findUnreloaded(next: Settings, started: Settings): string[] {
  const text = (value: unknown) => JSON.stringify(value, (_, one: unknown) => (one instanceof RegExp ? `${one}` : one))
  const [fresh, old]: Record<string, unknown>[] = [{ ...next }, { ...started }]
  const names = new Set([...Object.keys(fresh ?? {}), ...Object.keys(old ?? {})])
  return [...names].filter((name) => !reloaded.has(name) && text(fresh?.[name]) !== text(old?.[name])).sort()
}
