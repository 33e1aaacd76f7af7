// The X.509-SVID of the client: certificate and key in PEM files, as SPIFFE helpers write them and write them anew each hour.
import { readFile } from 'node:fs/promises'
import { ClientError } from './client-error.js'

export interface ClientCertificate {
  /** PEM, the leaf first. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

/** Read for each call, since the files rotate. Throws ClientError `invalid_configuration`. */
export type ClientCertificateSource = () => Promise<ClientCertificate>

/** From two files; a single one may hold both. */
export function clientCertificateFrom(certFile: string, keyFile: string): ClientCertificateSource {
  return async () => {
    const [cert, key] = await Promise.all([readPem(certFile, 'CERTIFICATE'), readPem(keyFile, 'PRIVATE KEY')])
    return { cert, key }
  }
}

async function readPem(path: string, kind: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new ClientError('invalid_configuration', `the client certificate's file ${path} cannot be read`, { cause })
  }
  if (text.includes(`${kind}-----`)) return text
  throw new ClientError('invalid_configuration', `${path} holds no ${kind} in PEM form`)
}
