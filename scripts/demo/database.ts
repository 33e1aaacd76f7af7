// The orders database as its users see it: PostgreSQL itself, or what Vault's stand-in says where there is none.
import { Client } from 'pg'
import type { RunningPostgres } from '../servers/postgres.js'
import type { VaultStandIn } from '../servers/stand-ins/vault.js'

export interface DatabaseSession {
  /** What it read, for the reader of the story. */
  read(): Promise<string>
  write(): Promise<string>
  /** Whether the server has ended it. */
  hasEnded(): Promise<boolean>
  close(): Promise<void>
}

export interface Database {
  /** Without a real one only logins can be shown. */
  readonly real: boolean
  /** Throws what the server says when it lets nobody in. */
  login(user: { username: string; password: string }): Promise<DatabaseSession>
}

export function realDatabase(postgres: RunningPostgres): Database {
  const { hostname, port, pathname } = new URL(postgres.url)
  return {
    real: true,
    async login({ username, password }) {
      const client = new Client({
        host: hostname,
        port: Number(port),
        user: username,
        password,
        database: pathname.slice(1),
      })
      // Ended by the server while idle: that is what is to be seen, and no reason to crash.
      client.on('error', () => undefined)
      await client.connect()
      return {
        read: async () => `${(await client.query('SELECT * FROM orders')).rowCount} order read`,
        async write() {
          const { rowCount } = await client.query("UPDATE orders SET item = 'a better pass'")
          return `${rowCount} order changed`
        },
        hasEnded: () =>
          client.query('SELECT 1').then(
            () => false,
            () => true,
          ),
        close: () => client.end().catch(() => undefined),
      }
    },
  }
}

export function standInDatabase(vault: VaultStandIn): Database {
  return {
    real: false,
    async login({ username, password }) {
      if (!vault.accepts(username, password)) throw new Error('the stand-in knows no such user')
      return {
        read: async () => 'the stand-in accepts the user',
        write: async () => 'the stand-in accepts the user',
        hasEnded: async () => !vault.accepts(username, password),
        close: async () => undefined,
      }
    },
  }
}
