// Vault for comparison, as production runs it: raft storage and a file audit device. Its JWT login gives a token per subject
// token, and revoke-self ends it: the nearest that Vault has to issue and release.
import { spawn } from 'node:child_process'
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../servers/free-port.js'
import { stopByPid, waitUntil } from '../servers/processes.js'
import { operate, type RunningVault } from '../servers/vault.js'

/** Starts the program with one raft node in `directory`, initialised, unsealed and audited. */
export async function startRaftVault(program: string, directory: string): Promise<RunningVault> {
  const [port, clusterPort] = [await freePort(), await freePort()]
  const address = `http://127.0.0.1:${port}`
  mkdirSync(join(directory, 'raft'), { recursive: true, mode: 0o700 })
  const config = join(directory, 'vault.json')
  const settings = {
    storage: { raft: { path: join(directory, 'raft'), node_id: 'bench' } },
    listener: { tcp: { address: `127.0.0.1:${port}`, cluster_address: `127.0.0.1:${clusterPort}`, tls_disable: true } },
    api_addr: address,
    cluster_addr: `https://127.0.0.1:${clusterPort}`,
    disable_mlock: true,
    log_level: 'error',
  }
  writeFileSync(config, JSON.stringify(settings))
  const env = { PATH: process.env.PATH, HOME: directory }
  const child = spawn(program, ['server', `-config=${config}`], { env, cwd: directory, stdio: 'ignore' })
  const stop = () => stopByPid(child)
  try {
    const isUp = () =>
      fetch(`${address}/v1/sys/seal-status`).then(
        (answer) => answer.ok,
        () => false,
      )
    await waitUntil('vault with raft', isUp)
    const vault = { address, rootToken: await unseal(address), pid: child.pid ?? 0, stop }
    await waitUntil('the raft leader', async () => (await fetch(`${address}/v1/sys/health`)).ok)
    const audit = { type: 'file', options: { file_path: join(directory, 'audit.log') } }
    await operate(vault, 'PUT', 'sys/audit/file', audit)
    return vault
  } catch (error) {
    await stop()
    throw error
  }
}

async function unseal(address: string): Promise<string> {
  const put = async (path: string, body: object) => {
    const answer = await fetch(`${address}/v1/${path}`, { method: 'PUT', body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as { keys_base64: string[]; root_token: string }
  }
  const { keys_base64, root_token } = await put('sys/init', { secret_shares: 1, secret_threshold: 1 })
  await put('sys/unseal', { key: keys_base64[0] })
  return root_token
}

/** Lets Vault log workloads in by the same subject tokens that Hallpass takes, with the key at hand: no call to an issuer. */
export async function setUpJwtLogin(
  vault: { address: string; rootToken: string },
  trusted: { issuer: string; audience: string; key: JsonWebKey },
): Promise<void> {
  const pem = createPublicKey({ key: trusted.key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString()
  await operate(vault, 'POST', 'sys/auth/jwt', { type: 'jwt' })
  await operate(vault, 'POST', 'auth/jwt/config', { jwt_validation_pubkeys: [pem], bound_issuer: trusted.issuer })
  await operate(vault, 'POST', 'auth/jwt/role/bench', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: [trusted.audience],
    token_policies: ['default'],
    token_ttl: '1h',
    token_type: 'service',
  })
}
