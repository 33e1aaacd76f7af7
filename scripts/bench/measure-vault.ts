// The comparison with Vault, when one is at hand.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { findVault, type RunningVault, startVault } from '../servers/vault.js'
import { runLoad } from './run-load.js'
import type { Ground } from './stack.js'
import type { Load } from './summary.js'
import { setUpJwtLogin, startRaftVault } from './vault.js'

/** Null without a program to start: a Vault that merely has an address is somebody's, and not on this machine. */
export async function measureVault(
  ground: Ground,
  directory: string,
  on: { connections: number; seconds: number; say(line: string): void },
): Promise<{ raftWithAudit: Load; devWithoutAudit: Load } | null> {
  const found = findVault()
  if (found?.kind !== 'program') return null
  const measure = async (vault: RunningVault) => {
    try {
      await setUpJwtLogin(vault, { issuer: ground.subjectIssuer, audience: ground.url, key: ground.issuerKey })
      const tokens = Array.from({ length: on.connections }, (_, i) => ground.token(`agent-${i}`))
      const { connections, seconds } = on
      const warmSeconds = Math.min(1, seconds / 2)
      return await runLoad({
        story: 'vault login and revoke',
        url: vault.address,
        connections,
        warmSeconds,
        seconds,
        tokens,
      })
    } finally {
      await vault.stop()
    }
  }
  on.say('Vault with raft storage and a file audit device')
  const home = join(directory, 'vault')
  mkdirSync(home, { mode: 0o700 })
  const raftWithAudit = await measure(await startRaftVault(found.path, home))
  on.say('Vault in development mode, without audit')
  const devWithoutAudit = await measure(await startVault(found.path))
  return { raftWithAudit, devWithoutAudit }
}
