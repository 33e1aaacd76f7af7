// Signs of life: of the tasks' workers, and of the brokers that would hear them.
import type { RunScript } from './scripts.js'

export function createHeartbeats(run: RunScript) {
  return {
    async beat(
      task: string,
    ): Promise<{ outcome: 'ok'; beforeMs: number | null } | { outcome: 'closed' | 'not_found' }> {
      const [outcome, before] = (await run('beat', task)) as ['ok' | 'closed' | 'not_found', number | '' | undefined]
      if (outcome !== 'ok') return { outcome }
      return { outcome, beforeMs: typeof before === 'number' ? before : null }
    },
    async noteServing() {
      await run('note-serving')
    },
  }
}
