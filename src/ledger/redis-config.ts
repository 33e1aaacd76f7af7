// The `redis:` section of the configuration.
import { z } from 'zod'
import { Secret } from '../core/secret.js'
import type { RedisSettings } from './connection.js'

const secret = (text: string) => new Secret(text)
const url = z
  .string()
  .regex(
    /^(redis|rediss|unix|rediss?\+sentinel):\/\/\S+$/,
    'expected a redis://, rediss://, unix:// or redis+sentinel:// URL, or a list of cluster nodes',
  )
  .transform(secret)
const node = z
  .string()
  .regex(/^rediss?:\/\/\S+$/, 'expected a redis:// or rediss:// URL of a cluster node')
  .transform(secret)

export const redisConfig = z.strictObject({
  url: z.union([url, z.array(node).min(1, 'expected at least one cluster node')]),
  ca: z.string().includes('-----BEGIN CERTIFICATE-----', { error: 'expected certificates in PEM form' }).optional(),
  // It stands between the braces of a hash tag, so it may hold none.
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected a prefix of letters, digits, dots, dashes or underscores')
    .default('hallpass'),
})
export type RedisConfig = z.output<typeof redisConfig>

/** What a connection is made from: the only place where the URLs, which may hold passwords, are read. */
export function redisSettings(config: RedisConfig): RedisSettings {
  const revealed = Array.isArray(config.url) ? config.url.map((one) => one.reveal()) : config.url.reveal()
  return { url: revealed, prefix: config.prefix, ...(config.ca === undefined ? {} : { ca: config.ca }) }
}
