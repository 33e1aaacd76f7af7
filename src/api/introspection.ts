// POST /oauth/introspect, as far as it is JSON: the request is a form (RFC 7662).
import { z } from 'zod'

/** RFC 7662. A caller that may not know more gets `active` and `exp` alone. */
export const introspection = z.looseObject({ active: z.boolean(), exp: z.int().optional() })
