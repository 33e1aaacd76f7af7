// The `audit:` section of the configuration.
import { z } from 'zod'

export const auditConfig = z.strictObject({
  directory: z.string().min(1),
  // Part of a folder's name and of every record, so it is held to characters that mean nothing to a file system.
  instance: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'expected a name of letters, digits, dots, dashes or underscores'),
})
