// In which order many leases end: whoever could do the most harm meanwhile goes first.
import type { Access } from '../policy/decision.js'

/** The most privileged first. An order of ends alone: no class implies another. */
export const accessRanks: readonly Access[] = ['admin', 'deploy', 'write', 'read']
