package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"
)

// pionOrder asks for plain pion beside the appliance's signaling, in this process.
type pionOrder struct {
	// Args are those of serve.
	Args []string `json:"args"`
}

// stunLine is how the arm says where pion listens, before serve says where the rest does.
const stunLine = "STUN "

// run serves until ctx ends.
func (o *pionOrder) run(ctx context.Context, out io.Writer, serve Serve) error {
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	server, err := pion.NewServer(pion.ServerConfig{
		Realm: "bench", LoggerFactory: logs, AuthHandler: pion.LongTermTURNRESTAuthHandler("bench", logs.NewLogger("auth")),
		PacketConnConfigs: []pion.PacketConnConfig{{
			PacketConn:            packets,
			RelayAddressGenerator: &pion.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start pion: %w", err), packets.Close())
	}
	fmt.Fprintln(out, stunLine+packets.LocalAddr().String())
	return errors.Join(serve(ctx, o.Args, out), server.Close())
}
