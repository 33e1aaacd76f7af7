// What we publish about ourselves, to anybody.
import type { Answer } from './problem.js'
import { type Route, route } from './route.js'

/** Documents by path, made anew at each call since keys rotate. Verifiers may keep them for five minutes. */
export function discoveryRoutes(documents: Readonly<Record<string, () => object>>): Route[] {
  return Object.entries(documents).map(([path, document]) =>
    route({
      method: 'GET',
      path,
      access: 'public',
      summary: 'Published metadata.',
      async run(): Promise<Answer> {
        return { status: 200, body: document(), headers: { 'cache-control': 'public, max-age=300' } }
      },
    }),
  )
}
