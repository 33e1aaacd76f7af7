import type { Settings } from '../config/schema.js'
import type { Catalogue } from '../grants/catalogue.js'
import type { Groups } from '../policy/groups.js'

/** What is in force: of a configuration that loaded. */
export interface SituationRules {
  readonly settings: Settings
  readonly catalogue: Catalogue
  readonly groups: Groups
}
