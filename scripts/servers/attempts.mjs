// What fails once because of somebody else's server (a registry's 502, a connection that was reset) is tried anew, a few times
// and not for ever. Plain JavaScript: it runs before anything is installed.
import { setTimeout as sleep } from 'node:timers/promises'

const pausesSeconds = [5, 20, 60]

/** Gives what `work` gives; after a failure it is done again, up to three times. Throws the last failure. */
export async function inAttempts(what, work, say = console.error) {
  for (const seconds of pausesSeconds) {
    try {
      return await work()
    } catch (error) {
      say(`${what} failed: ${error.message}\n${what}: again in ${seconds} s`)
    }
    await sleep(seconds * 1000)
  }
  return await work()
}
