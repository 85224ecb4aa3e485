// Package web serves the pages that are built into the binary, the demo call page (call/), the pre-call test (check/),
// the admin page (app/) and the browser client (sdk/), and the admin API behind its token.
//
// The TypeScript sources live beside this file, what the pages share in base/, and are built by Vite into dist/, which is
// embedded. The package knows nothing of rooms or relays: what the admin page shows is published to [Admin] by appliance
// twice a second.
//
// Where things are: pages.go serves embedded files, admin.go routes the admin listener, login.go judges links and
// cookies, stream.go feeds the open admin pages, headers.go has the security headers and the guard against DNS
// rebinding, state.go is the JSON that the admin page reads.
package web
