package ops

import (
	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

// MailOf makes the mail of a digest, for tests.
func (o *Office) MailOf(d restock.Digest) mail.Message { return o.alert(d, restock.ByMail).message() }
