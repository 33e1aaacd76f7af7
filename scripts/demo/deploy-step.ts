// The CI step that `hallpass exec` runs in the demo: it knows nothing but the credential in its environment.
const { DEPLOY_SERVICE = '', HALLPASS_CREDENTIAL = '', HALLPASS_TOKEN } = process.env

// The step has the credential and not the identity that bought it.
if (HALLPASS_TOKEN !== undefined) throw new Error('HALLPASS_TOKEN was passed on')
const response = await fetch(DEPLOY_SERVICE, {
  method: 'POST',
  headers: { authorization: `Bearer ${HALLPASS_CREDENTIAL}` },
})
process.stdout.write(await response.text())
process.exitCode = response.ok ? 0 : 1
